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

    init(ofResult: [Step], ofStages: [[Step]], hold: LayerHold) {
        self.ofResult = ofResult
        self.ofStages = ofStages
        self.hold = hold
    }

    /// Chains of steps, each from a base image up.
    public func chains(_ mode: Mode) -> [[Step]] { mode == .min ? [ofResult] : ofStages }

    /// Each layer once.
    public func layers(_ mode: Mode) -> [Digest] {
        var seen: Set<Digest> = []
        return chains(mode).joined().compactMap(\.layer).filter { seen.insert($0).inserted }
    }
}
