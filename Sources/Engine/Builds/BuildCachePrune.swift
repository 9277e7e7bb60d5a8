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
    /// `until` and `unused-for`: only what was not used for so long; `id`: only that. Steps have no labels.
    public var filters = Filters()

    public init() {}
}

extension ContainerEngine {
    /// Forgets what finished steps have left for later builds, the least recently used first.
    public func pruneBuildCache(_ wanted: BuildCachePrune) async throws -> BuildCachePruneResponse {
        try wanted.filters.check(["until", "unused-for", "id", "label", "label!"])
        let ages = wanted.filters["until"] + wanted.filters["unused-for"]
        let before = try Filters(["until": ages]).until()
        let entries = try await buildCache()
        var left = entries.reduce(Int64(0)) { $0 + $1.ownBytes }
        var chosen: [BuildCacheEntry] = []
        for entry in entries where (wanted.all || !entry.isShared) && wanted.filters.matches(labels: [:]) {
            if let before, let used = Timestamp(rfc3339: entry.record.used), used >= before { continue }
            guard wanted.filters.any("id", { entry.record.key.hasPrefix($0) }) else { continue }
            if let keep = wanted.keepBytes, left <= keep { break }
            left -= entry.ownBytes
            chosen.append(entry)
        }
        try await context.database.buildCache.delete(keys: chosen.map(\.record.key))
        let freed = try await images.layers.removeUnused(among: chosen.compactMap(\.record.layer))
        var response = BuildCachePruneResponse()
        response.CachesDeleted = chosen.map(\.record.key)
        response.SpaceReclaimed = freed.bytes
        return response
    }

    /// What builds have left, least recently used first.
    func buildCache() async throws -> [BuildCacheEntry] {
        let ofImages = Set(try await images.list().flatMap(\.layers))
        var entries: [BuildCacheEntry] = []
        var counted = Set<Digest>()
        for record in try await context.database.buildCache.all() {
            var entry = BuildCacheEntry(record: record)
            if let layer = record.layer {
                entry.bytes = try await images.layers.diskUsage(layer)
                entry.isShared = ofImages.contains(layer)
                // Two steps may have made the same layer, which lies there once.
                entry.isRepeated = !counted.insert(layer).inserted
            }
            entries.append(entry)
        }
        return entries
    }
}

/// The result of a build step and what it takes on disk.
struct BuildCacheEntry {
    let record: BuildCacheRecord
    var bytes: Int64 = 0
    /// An image has the same layer.
    var isShared = false
    var isRepeated = false

    /// The step, as the image's history tells it; nothing when the row cannot be read, which a build takes for a miss.
    var description: String {
        let history = try? JSONDecoder().decode(ImageConfig.History.self, from: Data(record.json))
        return history?.createdBy ?? ""
    }

    /// What would be free without it.
    var ownBytes: Int64 { isShared || isRepeated ? 0 : bytes }
}
