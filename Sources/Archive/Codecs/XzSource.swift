import CLzma

/// Unpacks xz, also several streams one after the other.
final class XzSource: ByteSource {
    private let input: BufferedSource
    private let stream: UnsafeMutablePointer<lzma_stream>
    private var budget: CompressionBudget
    private var ended = false
    /// What `xz -9` needs, twice.
    private static let mostMemory: UInt64 = 128 << 20
    /// `LZMA_CONCATENATED`, a macro that Swift does not see.
    private static let concatenated: UInt32 = 0x08

    init(_ input: BufferedSource, limits: ArchiveLimits) throws {
        self.input = input
        budget = CompressionBudget(limits: limits)
        stream = .allocate(capacity: 1)
        stream.initialize(to: lzma_stream())
        guard lzma_stream_decoder(stream, Self.mostMemory, Self.concatenated) == LZMA_OK else {
            throw ArchiveError.tooLarge("no memory for xz")
        }
    }

    deinit {
        lzma_end(stream)
        stream.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while !ended, !buffer.isEmpty {
            let available = try input.available()
            stream.pointee.next_in = available.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_in = available.count
            stream.pointee.next_out = buffer.bindMemory(to: UInt8.self).baseAddress
            stream.pointee.avail_out = buffer.count
            let status = lzma_code(stream, available.isEmpty ? LZMA_FINISH : LZMA_RUN)
            let (consumed, produced) = (available.count - stream.pointee.avail_in, buffer.count - stream.pointee.avail_out)
            input.skip(consumed)
            try budget.note(consumed: consumed, produced: produced)
            ended = status == LZMA_STREAM_END
            guard status == LZMA_OK || ended else { throw Self.error(status) }
            if produced > 0 { return produced }
        }
        return 0
    }

    private static func error(_ status: lzma_ret) -> ArchiveError {
        switch status {
        case LZMA_MEMLIMIT_ERROR, LZMA_MEM_ERROR: .tooLarge("xz: more than \(mostMemory) bytes of memory")
        case LZMA_BUF_ERROR: .malformed("xz: unexpected end")
        default: .malformed("xz: damaged data")
        }
    }
}
