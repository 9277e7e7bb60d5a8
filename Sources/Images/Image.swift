public import OCI

/// An image in the store: a configuration, the layers below it, and the names it has now.
public struct Image: Sendable, Equatable {
    /// The digest of `configBytes`.
    public let id: Digest
    public let config: ImageConfig
    /// The configuration exactly as it came, with whatever we do not understand.
    public let configBytes: [UInt8]
    /// Diff ids, base first.
    public let layers: [Digest]
    /// The sizes of the files in all layers.
    public let size: Int64
    public let references: [Reference]
    /// RFC 3339: when a container or a build last began with it; nil when none has.
    public let lastUsed: String?

    /// RFC 3339, as the configuration says.
    public var created: String? { config.created }
}

/// What went away with `ImageStore.remove` and `prune`, and how much room that made on disk.
public struct RemovedImages: Sendable, Equatable {
    public var items: [RemovedImage] = []
    public var bytes: Int64 = 0
}

/// One name, image or layer that went away.
public enum RemovedImage: Sendable, Equatable {
    case untagged(String)
    case deleted(String)
}

/// Why something with an image did not work, in Docker's words.
public enum ImageError: Error, Sendable, Equatable, CustomStringConvertible {
    case notFound(String)
    /// Nothing of a registry fits; the text is the whole message.
    case noMatch(String)
    case ambiguous(String)
    /// Something else needs the image.
    case conflict(String)
    /// What was given (an archive, a name, a change) cannot be used.
    case invalid(String)

    public var description: String {
        switch self {
        case .notFound(let name): "No such image: \(name)"
        case .ambiguous(let prefix): "multiple images found with the id prefix \(prefix)"
        case .noMatch(let message), .conflict(let message), .invalid(let message): message
        }
    }
}
