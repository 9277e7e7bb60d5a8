import Images
public import OCI

/// What a build has come to, step by step: what is put into a cache for others.
public struct BuildSteps: Sendable {
    public struct Step: Sendable, Equatable {
        /// What the result belongs to.
        public let key: String
        /// RFC 3339
        public let created: String
        /// The files; nil when there are none.
        public let layer: Digest?

        public init(key: String, created: String, layer: Digest?) {
            self.key = key
            self.created = created
            self.layer = layer
        }
    }

    /// What commands of the build keep for later ones, as it is now.
    public struct Mount: Sendable, Equatable {
        /// Which `RUN --mount=type=cache` it belongs to.
        public let key: String
        public let layer: Digest

        public init(key: String, layer: Digest) {
            self.key = key
            self.layer = layer
        }
    }

    /// How much of a build goes into a cache.
    public enum Mode: String, Sendable {
        /// The steps that the result consists of.
        case min
        /// Those of all stages.
        case max
    }

    private let ofResult: [Step]
    private let ofStages: [[Step]]
    /// Keeps the layers.
    private let hold: LayerHold
    private let makeMounts: @Sendable () async throws -> [Mount]

    init(ofResult: [Step], ofStages: [[Step]], hold: LayerHold, makeMounts: @escaping @Sendable () async throws -> [Mount]) {
        self.ofResult = ofResult
        self.ofStages = ofStages
        self.hold = hold
        self.makeMounts = makeMounts
    }

    /// Makes layers of the cache mounts that the build has used.
    public func mounts() async throws -> [Mount] { try await makeMounts() }

    /// Chains of steps, each from a base image up.
    public func chains(_ mode: Mode) -> [[Step]] { mode == .min ? [ofResult] : ofStages }

    /// Each layer once.
    public func layers(_ mode: Mode) -> [Digest] {
        var seen: Set<Digest> = []
        return chains(mode).joined().compactMap(\.layer).filter { seen.insert($0).inserted }
    }
}
