public import OCI

/// An image in the store: a configuration, the layers below it, and the names it has now.
public struct Image: Sendable, Equatable {
    /// The digest of `configBytes`.
    public let id: Digest
    let document: StoredConfig
    /// Diff ids, base first.
    public let layers: [Digest]
    /// The sizes of the files in all layers.
    public let size: Int64
    public let references: [Reference]
    /// The digests of what goes with the image, under each of those names that have something, and by its id.
    var namedAttachments: [String: Digest] = [:]
    var attachments: Digest?
    /// RFC 3339: when a container or a build last began with it; nil when none has.
    public let lastUsed: String?

    public var config: ImageConfig { document.value }
    /// The configuration exactly as it came, with whatever we do not understand.
    public var configBytes: [UInt8] { document.bytes }
    /// RFC 3339, as the configuration says.
    public var created: String? { document.value.created }
    /// As the configuration says.
    public var labels: [String: String] { document.value.config?.labels ?? [:] }
}

/// A configuration as it came, and as we read it. An object, since thousands of images are handed on at once.
final class StoredConfig: Sendable, Equatable {
    let bytes: [UInt8]
    let value: ImageConfig

    init(_ bytes: [UInt8]) throws {
        self.bytes = bytes
        value = try decodeDocument(ImageConfig.self, from: bytes, "image configuration")
    }

    static func == (one: StoredConfig, other: StoredConfig) -> Bool { one === other || one.bytes == other.bytes }
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
