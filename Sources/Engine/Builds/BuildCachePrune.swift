import Builder
public import DockerAPI
import FoundationEssentials
import Images
import Linux
import OCI
import Store

/// What `docker builder prune` asks for.
public struct BuildCachePrune: Sendable {
    /// Also what takes no room of its own, since an image has the same layer.
    public var all = false
    /// So much may stay, the most recently used of it. Nil keeps nothing.
    public var keepBytes: Int64?
    /// `until` and `unused-for`: only what was not used for so long; `id`, `type`, `description`, `inuse`, `shared`,
    /// `private`: only that. Steps have no labels.
    public var filters = Filters()

    public init() {}
}

extension ContainerEngine {
    /// Forgets what finished steps have left for later builds, and empties their caches, the least recently used first.
    public func pruneBuildCache(_ wanted: BuildCachePrune) async throws -> BuildCachePruneResponse {
        try wanted.filters.check([
            "until", "unused-for", "id", "type", "description", "inuse", "shared", "private", "label", "label!",
        ])
        let ages = wanted.filters["until"] + wanted.filters["unused-for"]
        let before = try Filters(["until": ages]).until()
        let entries = try await buildCache()
        var left = entries.reduce(Int64(0)) { $0 + $1.ownBytes }
        var chosen: [BuildCacheEntry] = []
        for entry in entries where (wanted.all || !entry.isShared) && !entry.isInUse && Self.matches(entry, wanted.filters) {
            if let before, let used = Timestamp(rfc3339: entry.used), used >= before { continue }
            if let keep = wanted.keepBytes, left <= keep { break }
            left -= entry.ownBytes
            chosen.append(entry)
        }
        return try await forget(chosen)
    }

    private static func matches(_ entry: BuildCacheEntry, _ filters: Filters) -> Bool {
        let truth = { (name: String, value: Bool) in
            filters.any(name) { ["1", "true", ""].contains($0.lowercased()) == value }
        }
        return filters.matches(labels: [:]) && filters.any("id", { entry.id.hasPrefix($0) })
            && filters.any("type", { entry.kind.rawValue == $0 }) && filters.any("description", { entry.description.contains($0) })
            && truth("inuse", entry.isInUse) && truth("shared", entry.isShared) && truth("private", !entry.isShared)
    }

    private func forget(_ chosen: [BuildCacheEntry]) async throws -> BuildCachePruneResponse {
        let steps = chosen.filter { $0.kind == .step }
        try await context.database.buildCache.delete(keys: steps.map(\.id))
        var response = BuildCachePruneResponse()
        response.CachesDeleted = steps.map(\.id)
        response.SpaceReclaimed = try await images.layers.removeUnused(among: steps.compactMap(\.layer)).bytes
        for entry in chosen where entry.kind == .cacheMount {
            // A build may have taken it meanwhile.
            guard try await cacheMounts.remove(entry.id) else { continue }
            response.CachesDeleted?.append(entry.id)
            response.SpaceReclaimed = (response.SpaceReclaimed ?? 0) + entry.bytes
        }
        events.publish("builder", "prune", id: "", attributes: ["reclaimed": "\(response.SpaceReclaimed ?? 0)"])
        return response
    }

    /// What builds have left, least recently used first.
    func buildCache() async throws -> [BuildCacheEntry] {
        let ofImages = Set(try await images.list().flatMap(\.layers))
        var entries: [BuildCacheEntry] = []
        var counted = Set<Digest>()
        for record in try await context.database.buildCache.all() {
            var entry = BuildCacheEntry(record)
            if let layer = record.layer {
                entry.bytes = try await images.layers.diskUsage(layer)
                entry.isShared = ofImages.contains(layer)
                // Two steps may have made the same layer, which lies there once.
                entry.isRepeated = !counted.insert(layer).inserted
            }
            entries.append(entry)
        }
        entries += try await cacheMounts.all().map(BuildCacheEntry.init)
        return entries.sorted { ($0.used, $0.id) < ($1.used, $1.id) }
    }
}

/// What a build has left for others, and what it takes on disk.
struct BuildCacheEntry {
    /// As Docker calls them.
    enum Kind: String {
        case step = "regular"
        case cacheMount = "exec.cachemount"
    }

    let kind: Kind
    let id: String
    /// What the step did, as the image's history tells it, or what the cache is for.
    let description: String
    let created: String
    let used: String
    let uses: Int
    let layer: Digest?
    var bytes: Int64 = 0
    /// An image has the same layer.
    var isShared = false
    var isRepeated = false
    var isInUse = false

    init(_ record: BuildCacheRecord) {
        kind = .step
        (id, created, used, uses, layer) = (record.key, record.created, record.used, record.uses, record.layer)
        // Nothing when the row cannot be read, which a build takes for a miss.
        let history = try? JSONDecoder().decode(ImageConfig.History.self, from: Data(record.json))
        description = history?.createdBy ?? ""
    }

    init(_ mount: CacheMountEntry) {
        kind = .cacheMount
        let record = mount.record
        (id, created, used, uses, layer) = (record.key, record.created, record.used, record.uses, nil)
        description = "cached mount \(record.name)"
        (bytes, isInUse) = (mount.bytes, mount.isInUse)
    }

    /// What would be free without it.
    var ownBytes: Int64 { isShared || isRepeated ? 0 : bytes }
}
