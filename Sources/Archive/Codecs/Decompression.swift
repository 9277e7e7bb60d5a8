/// How a stream is compressed.
public enum Compression: Sendable, Equatable {
    case none, gzip, zstd

    /// Recognised by the first bytes.
    public init(magic bytes: UnsafeRawBufferPointer) {
        if bytes.starts(with: [0x1f, 0x8b]) {
            self = .gzip
        } else if bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) {
            self = .zstd
        } else {
            self = .none
        }
    }
}

/// The content of a stream that may be compressed with gzip or zstd, which its first bytes tell.
public func decompressing(_ source: any ByteSource, limits: ArchiveLimits = ArchiveLimits()) throws -> any ByteSource {
    let buffered = BufferedSource(source)
    switch Compression(magic: try buffered.peek(4)) {
    case .none: return buffered
    case .gzip: return GzipSource(buffered, limits: limits)
    case .zstd: return try ZstdSource(buffered, limits: limits)
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
