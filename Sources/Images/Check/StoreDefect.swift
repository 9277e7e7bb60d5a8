/// One thing that is wrong with what is on disk, and what was done about it.
public struct StoreDefect: Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// The files of a layer no longer give the bytes that its digest names.
        case layerDamaged = "layer damaged"
        case layerMissing = "layer missing"
        case layerSize = "layer size wrong"
        case layerUnknown = "layer without row"
        case fileUnknown = "unknown file"
        case configDamaged = "configuration damaged"
        case configMissing = "configuration missing"
        case blobUnknown = "blob without row"
        case imageBroken = "image broken"
        case database = "database damaged"
    }

    public var kind: Kind
    /// A digest, a path, or whatever the thing is named by.
    public var subject: String
    public var problem: String
    /// What was done; empty when nothing was asked for, or nothing can be done.
    public var repair = ""
    /// Nothing is left to do.
    public var isRepaired = false

    public init(_ kind: Kind, _ subject: String, _ problem: String) {
        self.kind = kind
        self.subject = subject
        self.problem = problem
    }
}

/// What a check looked at and what it found.
public struct StoreReport: Sendable, Equatable {
    public var layers = 0
    public var images = 0
    /// Of layers, read and compared with their digests.
    public var bytes: Int64 = 0
    public var defects: [StoreDefect] = []

    public init() {}
}
