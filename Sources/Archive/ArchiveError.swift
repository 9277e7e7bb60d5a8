/// Why an archive cannot be used.
public enum ArchiveError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It does not keep to its format.
    case malformed(String)
    /// It asks for more than the limits allow.
    case tooLarge(String)
    /// An entry points out of the directory that it is unpacked to, or at something it must not.
    case unsafe(path: String, reason: String)
    /// Something that is there would have to go, and must not.
    case conflict(String)

    public var description: String {
        switch self {
        case .malformed(let what): "invalid archive: \(what)"
        case .tooLarge(let what): "archive exceeds a limit: \(what)"
        case .conflict(let what): what
        case .unsafe(let path, let reason): "archive entry \(path.debugDescription): \(reason)"
        }
    }
}

/// Bounds on what an archive may ask for. The defaults leave room for the largest images that make sense.
public struct ArchiveLimits: Sendable {
    public var entries = 5_000_000
    /// Of a name or a link's text.
    public var pathBytes = 4096
    /// Of the extended header of one entry; bounds its attributes as well.
    public var headerBytes = 1 << 20
    public var attributes = 256
    public var sparseSegments = 100_000
    /// Of all contents after decompression, holes included.
    public var totalBytes: Int64 = 1 << 40
    /// How many bytes may come of a compressed one, looked at once more than `ratioFreeBytes` came out.
    public var compressionRatio: Int64 = 2000
    public var ratioFreeBytes: Int64 = 1 << 30

    public init() {}
}
