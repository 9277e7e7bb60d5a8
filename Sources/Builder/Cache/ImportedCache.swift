public import Linux
public import OCI
import Synchronization

/// Results of steps that were made elsewhere, for the builds that name them.
///
/// That a layer is what a step would make cannot be seen: whoever names a cache trusts it for that. It is trusted for no more:
/// a layer has the bytes of its digest, a step that changes only the configuration gets no files, and what the step says of
/// itself in the image is what this build says.
public struct ImportedCache: Sendable {
    public struct Step: Sendable, Equatable {
        public var created: Timestamp
        public var layer: Digest?

        public init(created: Timestamp, layer: Digest?) {
            self.created = created
            self.layer = layer
        }
    }

    /// As the user calls it.
    public let name: String
    /// Two may have one name.
    let id = UInt64.random(in: .min ... .max)
    /// By cache key.
    public let steps: [String: Step]
    /// Layers of cache mounts, by key.
    let mounts: [String: Digest]
    let layers: Set<Digest>
    /// Brings a layer into the store; throws unless its content has that diff id.
    let fetch: @Sendable (Digest) async throws -> Void

    public init(name: String, steps: [String: Step], mounts: [String: Digest] = [:], fetch: @escaping @Sendable (Digest) async throws -> Void) {
        self.name = name
        self.steps = steps
        self.fetch = fetch
        self.mounts = mounts
        layers = Set(steps.values.compactMap(\.layer) + mounts.values)
    }
}

/// The caches of one build, as long as they do what they promise.
final class ImportedCaches: Sendable {
    private let caches: Mutex<[ImportedCache]>

    init(_ caches: [ImportedCache]) {
        self.caches = Mutex(caches)
    }

    /// What the first cache that knows the step has of it.
    func step(_ key: String, makesFiles: Bool, notAfter epoch: Timestamp?) -> (ImportedCache.Step, ImportedCache)? {
        for cache in caches.withLock({ $0 }) {
            guard let step = cache.steps[key], makesFiles || step.layer == nil else { continue }
            if let epoch, step.created > epoch { continue }
            return (step, cache)
        }
        return nil
    }

    func mount(_ key: String) -> (Digest, ImportedCache)? {
        for cache in caches.withLock({ $0 }) {
            if let layer = cache.mounts[key] { return (layer, cache) }
        }
        return nil
    }

    func giver(of layer: Digest) -> ImportedCache? {
        caches.withLock { $0 }.first { $0.layers.contains(layer) }
    }

    /// - Returns: false when somebody else has done so.
    func drop(_ cache: ImportedCache) -> Bool {
        caches.withLock { caches in
            let count = caches.count
            caches.removeAll { $0.id == cache.id }
            return caches.count < count
        }
    }
}
