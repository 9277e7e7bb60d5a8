/// How a stream is compressed.
public enum Compression: Sendable, Equatable {
    case none, gzip, zstd, bzip2, xz

    /// Recognised by the first bytes.
    public init(magic bytes: UnsafeRawBufferPointer) {
        if bytes.starts(with: [0x1f, 0x8b]) {
            self = .gzip
        } else if bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) {
            self = .zstd
        } else if bytes.starts(with: [0x42, 0x5a, 0x68]), bytes.count > 5, [[0x31, 0x41], [0x17, 0x72]].contains(Array(bytes[4...5])) {
            self = .bzip2  // "BZh" alone may begin the name of a file.
        } else if bytes.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) {
            self = .xz
        } else {
            self = .none
        }
    }
}

/// The content of a stream that may be compressed, which its first bytes tell.
public func decompressing(_ source: any ByteSource, limits: ArchiveLimits = ArchiveLimits()) throws -> any ByteSource {
    let buffered = BufferedSource(source)
    switch Compression(magic: try buffered.peek(6)) {
    case .none: return buffered
    case .gzip: return GzipSource(buffered, limits: limits)
    case .zstd: return try ZstdSource(buffered, limits: limits)
    case .bzip2: return try Bzip2Source(buffered, limits: limits)
    case .xz: return try XzSource(buffered, limits: limits)
    }
}

/// Notices when far more comes out of a stream than went in.
struct CompressionBudget {
    let limits: ArchiveLimits
    private var consumed: Int64 = 0
    private var produced: Int64 = 0

    init(limits: ArchiveLimits) { self.limits = limits }

    mutating func note(consumed input: Int, produced output: Int) throws {
        consumed += Int64(input)
        produced += Int64(output)
        if produced > limits.totalBytes { throw ArchiveError.tooLarge("more than \(limits.totalBytes) bytes unpacked") }
        if produced > limits.ratioFreeBytes, produced / limits.compressionRatio > consumed {
            throw ArchiveError.tooLarge("compressed more than \(limits.compressionRatio) to 1")
        }
    }
}
