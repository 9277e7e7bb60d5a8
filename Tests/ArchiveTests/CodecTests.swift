import Archive
import Testing

@Suite struct CodecTests {
    private let text = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    @Test("compressed bytes come back, recognised by themselves", arguments: [Compression.none, .gzip, .zstd, .bzip2, .xz])
    func roundTrip(_ compression: Compression) throws {
        let packed = try compress(text, compression)
        #expect(try decompressing(MemorySource(packed)).readAll(limit: 1 << 20) == text)
    }

    @Test("several members or frames are one stream", arguments: [Compression.gzip, .zstd, .bzip2, .xz])
    func members(_ compression: Compression) throws {
        let packed = try compress(text, compression) + compress(text, compression)
        #expect(try decompressing(MemorySource(packed)).readAll(limit: 1 << 20) == text + text)
    }

    @Test("zeros that fill up a block may follow, anything else may not", arguments: [Compression.gzip, .bzip2, .xz])
    func padding(_ compression: Compression) throws {
        let packed = try compress(text, compression)
        let padded = packed + [UInt8](repeating: 0, count: 512)
        #expect(try decompressing(MemorySource(padded)).readAll(limit: 1 << 20) == text)
        #expect(throws: ArchiveError.self) { try decompressing(MemorySource(packed + [1, 2, 3, 4])).readAll(limit: 1 << 20) }
    }

    @Test("what only begins like bzip2 is not packed")
    func nameLikeBzip2() throws {
        let plain = Array("BZh9-is-a-name".utf8)
        #expect(try decompressing(MemorySource(plain)).readAll(limit: 100) == plain)
    }

    @Test("xz that wants more memory than it gets is refused")
    func hungry() throws {
        // The header of `xz --lzma2=dict=1GiB` and the beginning of its block.
        let packed: [UInt8] = [
            0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x24, 0x00, 0x00, 0x00, 0x5e, 0x1f,
            0xc7, 0xf9, 0xe4, 0x93, 0xdf, 0x00, 0x6f, 0x5d, 0x00, 0x00, 0x6f, 0xfd, 0xff, 0xff, 0xa3, 0xb7,
        ]
        #expect(throws: ArchiveError.tooLarge("xz: more than 134217728 bytes of memory")) {
            try decompressing(MemorySource(packed)).readAll(limit: 100)
        }
    }

    @Test("the same bytes are packed in the same way")
    func deterministic() throws {
        #expect(try compress(text, .gzip) == compress(text, .gzip))
    }

    @Test("a stream that ends early or is damaged is an error", arguments: [Compression.gzip, .zstd, .bzip2, .xz])
    func damage(_ compression: Compression) throws {
        let packed = try compress(text, compression)
        #expect(throws: ArchiveError.self) {
            try decompressing(MemorySource(Array(packed.dropLast(9)))).readAll(limit: 1 << 20)
        }
        var broken = packed
        for index in 40..<60 { broken[index] ^= 0xff }
        #expect(throws: ArchiveError.self) { try decompressing(MemorySource(broken)).readAll(limit: 1 << 20) }
    }

    @Test("a bomb is stopped by its ratio", arguments: [Compression.gzip, .zstd, .bzip2, .xz])
    func bomb(_ compression: Compression) throws {
        let packed = try compress([UInt8](repeating: 0, count: 4 << 20), compression)
        var limits = ArchiveLimits()
        limits.ratioFreeBytes = 1 << 20
        limits.compressionRatio = 100
        #expect(throws: ArchiveError.tooLarge("compressed more than 100 to 1")) {
            try decompressing(MemorySource(packed), limits: limits).readAll(limit: 8 << 20)
        }
    }

    @Test("bytes that another thread produces arrive in order, and its error after them")
    func produced() throws {
        struct Broken: Error {}
        let source = try ProducedSource { sink in
            for _ in 0..<20 { try [UInt8](repeating: 7, count: 300_000).withUnsafeBytes { try sink.write($0) } }
            throw Broken()
        }
        #expect(throws: Broken.self) { try source.readAll(limit: 10 << 20) }
        let whole = try ProducedSource { sink in try [UInt8](repeating: 7, count: 3 << 20).withUnsafeBytes { try sink.write($0) } }
        #expect(try whole.readAll(limit: 4 << 20).count == 3 << 20)
        // One that nobody reads to the end goes away with its reader.
        _ = try ProducedSource { sink in
            while true { try [UInt8](repeating: 7, count: 1 << 20).withUnsafeBytes { try sink.write($0) } }
        }
    }
}
