import Archive
import OCI
import Store

/// Computes the digest of what is read through it.
final class HashingSource: ByteSource {
    private let source: any ByteSource
    private var hasher = DigestHasher()
    private(set) var count: Int64 = 0

    init(_ source: any ByteSource) { self.source = source }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        hasher.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        self.count += Int64(count)
        return count
    }

    /// Reads what is left, and answers the digest of all.
    func finish() throws -> Digest {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        while try read(into: buffer) > 0 {}
        return hasher.finish()
    }
}

/// Computes the digest of what is written through it.
final class HashingSink: ByteSink {
    private let sink: (any ByteSink)?
    private var hasher = DigestHasher()

    /// Without a sink only the digest remains.
    init(_ sink: (any ByteSink)? = nil) { self.sink = sink }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        hasher.update(bytes)
        try sink?.write(bytes)
    }

    var digest: Digest { hasher.finish() }
}
