import FoundationEssentials
import Images
import OCI
import Store
import Synchronization

/// What the steps of a build rested on, for the next build of the same. Steps are told apart by their place.
final class StepNotes: Sendable {
    private let notes = Mutex<[String: StepFacts]>([:])

    func add(_ place: String, _ facts: StepFacts) {
        notes.withLock { $0[place] = facts }
    }

    private let usedMounts = Mutex<[String: String]>([:])

    /// The cache mounts that commands name, also those that did not run: names by key.
    var mounts: [String: String] { usedMounts.withLock { $0 } }

    func add(mount key: String, named name: String) {
        usedMounts.withLock { $0[key] = name }
    }

    private let exportedMounts = Mutex<[Digest]>([])

    /// Layers that were made of cache mounts, which nothing but their export needs.
    var mountLayers: [Digest] { exportedMounts.withLock { $0 } }

    func add(mountLayer layer: Digest) {
        exportedMounts.withLock { $0.append(layer) }
    }

    func save(to records: BuildCacheRecords) async throws {
        let all = notes.withLock { $0 }
        try await records.saveFacts(try all.mapValues { try encodeDocument($0) })
    }
}

extension BuildRun {
    /// Where a step stands: the same in the next build of the same Dockerfile.
    func place(_ stage: Int, _ number: Int) -> String {
        let project = request.tags.first.map { "\($0)" } ?? ""
        return Digest.sha256(of: Array("\(project)\0\(plan.stages[stage].name ?? "\(stage)")\0\(number)".utf8)).hex
    }

    /// Notes what a step rests on, and tells why its result has to be made if that is asked for.
    func explain(_ facts: StepFacts, isCached: Bool) async throws {
        guard let place else { return }
        notes.add(place, facts)
        guard request.explainsCache, !isCached else { return }
        if !usesCache { return await say(" ---> Not from the cache: it was not to be used\n") }
        let row = try await build.cache.facts(of: place)
        // What cannot be read is as good as none.
        let before = row.flatMap { try? JSONDecoder().decode(StepFacts.self, from: Data($0)) }
        await say(" ---> Not from the cache: \(facts.reason(comparedWith: before))\n")
    }
}
