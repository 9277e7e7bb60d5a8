import CZlib

/// Unpacks gzip, also several members one after the other.
final class GzipSource: ByteSource {
    private let input: BufferedSource
    private var stream: UnsafeMutablePointer<z_stream>
    private var budget: CompressionBudget
    private var ended = false

    init(_ input: BufferedSource, limits: ArchiveLimits) throws {
        self.input = input
        budget = CompressionBudget(limits: limits)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 15 bits of window, 16 for the gzip header. The macro inflateInit2 is this call.
        let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw ArchiveError.malformed("gzip: \(status)") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while !ended, !buffer.isEmpty {
            let available = try input.available()
            if available.isEmpty { throw ArchiveError.malformed("gzip: unexpected end") }
            stream.pointee.next_in = UnsafeMutablePointer(mutating: available.bindMemory(to: UInt8.self).baseAddress)
            stream.pointee.avail_in = UInt32(available.count)
            stream.pointee.next_out = buffer.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(clamping: buffer.count)
            let status = inflate(stream, Z_NO_FLUSH)
            let consumed = available.count - Int(stream.pointee.avail_in)
            let produced = Int(UInt32(clamping: buffer.count) - stream.pointee.avail_out)
            input.skip(consumed)
            try budget.note(consumed: consumed, produced: produced)
            switch status {
            case Z_STREAM_END: try nextMember()
            case Z_OK, Z_BUF_ERROR: break
            default: throw ArchiveError.malformed("gzip: damaged data")
            }
            if produced > 0 { return produced }
        }
        return 0
    }

    /// After a member comes the end, another member, or zeros that fill up a block.
    private func nextMember() throws {
        let magic = try input.peek(2)
        if magic.starts(with: [0x1f, 0x8b]) {
            inflateReset(stream)
        } else if magic.allSatisfy({ $0 == 0 }) {
            ended = true
            while case let rest = try input.available(), !rest.isEmpty { input.skip(rest.count) }
        } else {
            throw ArchiveError.malformed("gzip: data after the end")
        }
    }
}

/// Packs with gzip, without a name or a time in the header, so that the same bytes give the same result.
public final class GzipSink: ByteSink {
    private let sink: any ByteSink
    private let stream: UnsafeMutablePointer<z_stream>
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)

    public init(_ sink: any ByteSink, level: Int32 = 6) throws {
        self.sink = sink
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = deflateInit2_(
            stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw ArchiveError.malformed("gzip: \(status)") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        output.deallocate()
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try run(bytes, Z_NO_FLUSH) }

    /// Writes what is left and the trailer.
    public func finish() throws { try run(UnsafeRawBufferPointer(start: nil, count: 0), Z_FINISH) }

    private func run(_ bytes: UnsafeRawBufferPointer, _ flush: Int32) throws {
        var rest = bytes
        repeat {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
            stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.bindMemory(to: UInt8.self).baseAddress)
            stream.pointee.avail_in = UInt32(piece.count)
            repeat {
                stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
                stream.pointee.avail_out = UInt32(output.count)
                guard deflate(stream, flush) != Z_STREAM_ERROR else { throw ArchiveError.malformed("gzip: cannot pack") }
                let produced = output.count - Int(stream.pointee.avail_out)
                try sink.write(UnsafeRawBufferPointer(rebasing: output[..<produced]))
            } while stream.pointee.avail_out == 0
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
        } while !rest.isEmpty
    }
}
