import CZstd

/// Unpacks zstd, also several frames one after the other.
final class ZstdSource: ByteSource {
    private let input: BufferedSource
    private let context: OpaquePointer
    private var budget: CompressionBudget
    /// Nothing of a frame is outstanding.
    private var betweenFrames = true

    init(_ input: BufferedSource, limits: ArchiveLimits) throws {
        self.input = input
        budget = CompressionBudget(limits: limits)
        guard let context = ZSTD_createDCtx() else { throw ArchiveError.tooLarge("no memory for zstd") }
        self.context = context
        // 128 MiB of window at most, whatever the header asks for.
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
    }

    deinit { ZSTD_freeDCtx(context) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while !buffer.isEmpty {
            let available = try input.available()
            if available.isEmpty, betweenFrames { return 0 }
            var source = ZSTD_inBuffer(src: available.baseAddress, size: available.count, pos: 0)
            var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let status = ZSTD_decompressStream(context, &target, &source)
            guard ZSTD_isError(status) == 0 else {
                throw ArchiveError.malformed("zstd: \(String(cString: ZSTD_getErrorName(status)))")
            }
            betweenFrames = status == 0
            input.skip(source.pos)
            try budget.note(consumed: source.pos, produced: target.pos)
            if target.pos > 0 { return target.pos }
            if available.isEmpty, !betweenFrames { throw ArchiveError.malformed("zstd: unexpected end") }
        }
        return 0
    }
}

/// Packs with zstd.
public final class ZstdSink: ByteSink {
    private let sink: any ByteSink
    private let context: OpaquePointer
    private let output = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)

    public init(_ sink: any ByteSink, level: Int32 = 3) throws {
        self.sink = sink
        guard let context = ZSTD_createCCtx() else { throw ArchiveError.tooLarge("no memory for zstd") }
        self.context = context
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit {
        ZSTD_freeCCtx(context)
        output.deallocate()
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try run(bytes, ZSTD_e_continue) }

    /// Writes what is left and ends the frame.
    public func finish() throws { try run(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end) }

    private func run(_ bytes: UnsafeRawBufferPointer, _ operation: ZSTD_EndDirective) throws {
        var source = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        while true {
            var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let left = ZSTD_compressStream2(context, &target, &source, operation)
            guard ZSTD_isError(left) == 0 else {
                throw ArchiveError.malformed("zstd: \(String(cString: ZSTD_getErrorName(left)))")
            }
            if target.pos > 0 { try sink.write(UnsafeRawBufferPointer(rebasing: output[..<target.pos])) }
            let done = operation == ZSTD_e_end ? left == 0 : source.pos == source.size
            if done { return }
        }
    }
}
