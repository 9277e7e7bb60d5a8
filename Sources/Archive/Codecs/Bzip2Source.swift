import CBzip2

/// Unpacks bzip2, also several streams one after the other.
final class Bzip2Source: ByteSource {
    private let input: BufferedSource
    private let stream: UnsafeMutablePointer<bz_stream>
    private var budget: CompressionBudget
    private var isOpen = false

    init(_ input: BufferedSource, limits: ArchiveLimits) throws {
        self.input = input
        budget = CompressionBudget(limits: limits)
        stream = .allocate(capacity: 1)
        stream.initialize(to: bz_stream())
        try open()
    }

    deinit {
        close()
        stream.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while isOpen, !buffer.isEmpty {
            let available = try input.available()
            let (status, consumed, produced) = unpack(available, into: buffer)
            input.skip(consumed)
            try budget.note(consumed: consumed, produced: produced)
            guard status == BZ_OK || status == BZ_STREAM_END else { throw ArchiveError.malformed("bzip2: damaged data") }
            if status == BZ_STREAM_END {
                try nextStream()
            } else if available.isEmpty, produced == 0 {
                throw ArchiveError.malformed("bzip2: unexpected end")
            }
            if produced > 0 { return produced }
        }
        return 0
    }

    private func unpack(_ available: UnsafeRawBufferPointer, into buffer: UnsafeMutableRawBufferPointer)
        -> (status: Int32, consumed: Int, produced: Int)
    {
        let room = UInt32(clamping: buffer.count)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: available.bindMemory(to: CChar.self).baseAddress)
        stream.pointee.avail_in = UInt32(available.count)
        stream.pointee.next_out = buffer.bindMemory(to: CChar.self).baseAddress
        stream.pointee.avail_out = room
        let status = BZ2_bzDecompress(stream)
        return (status, available.count - Int(stream.pointee.avail_in), Int(room - stream.pointee.avail_out))
    }

    /// What follows a stream is another one, or zeros that fill up a block.
    private func nextStream() throws {
        close()
        let magic = try input.peek(3)
        if magic.elementsEqual("BZh".utf8) { return try open() }
        guard magic.allSatisfy({ $0 == 0 }) else { throw ArchiveError.malformed("bzip2: data after the end") }
        while case let rest = try input.available(), !rest.isEmpty { input.skip(rest.count) }
    }

    private func open() throws {
        guard BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK else { throw ArchiveError.tooLarge("no memory for bzip2") }
        isOpen = true
    }

    private func close() {
        if isOpen { BZ2_bzDecompressEnd(stream) }
        isOpen = false
    }
}
