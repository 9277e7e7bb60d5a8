import Archive
import Linux
import Testing

@Suite struct TarTests {
    @Test("an entry comes back as it was written, whatever needs an extended header")
    func roundTrip() throws {
        let long = Array((0..<40).map { "folder\($0)" }.joined(separator: "/").utf8)
        let all = [
            TarEntry(path: Array("a".utf8), kind: .file, mode: 0o4755, uid: 1000, gid: 3_000_000_000, modified: .init(seconds: 1_700_000_000)),
            TarEntry(path: long, kind: .file, mode: 0o600, uid: 4_294_967_294, modified: .init(seconds: -5)),
            TarEntry(path: Array("l".utf8), kind: .symbolicLink, mode: 0o777, linkTarget: long),
            TarEntry(path: [0xff, 0xfe, 0x41], kind: .directory, mode: 0o1777),
            TarEntry(path: Array("dev".utf8), kind: .characterDevice, mode: 0o600, deviceMajor: 5, deviceMinor: 1),
            TarEntry(path: Array("pipe".utf8), kind: .fifo),
            TarEntry(
                path: Array("cap".utf8), kind: .file,
                attributes: [
                    .init(name: "security.capability", value: [1, 0, 0, 2, 10, 61, 0]), .init(name: "user.x", value: Array(repeating: 10, count: 80)),
                ]),
        ]
        let bytes = try tar(all.map { ($0, "") })
        #expect(bytes.count.isMultiple(of: 512))
        #expect(try entries(bytes) == all)
    }

    @Test("a plain entry is exactly the header that POSIX draws")
    func goldenHeader() throws {
        let bytes = try tar([
            (TarEntry(path: Array("hi".utf8), kind: .file, mode: 0o644, uid: 1, gid: 2, modified: .init(seconds: 8)), "yo")
        ])
        #expect(bytes.count == 4 * 512)
        func field(_ start: Int, _ count: Int) -> String { String(decoding: bytes[start..<(start + count)], as: UTF8.self) }
        #expect(field(0, 3) == "hi\0")
        #expect(field(100, 24) == "0000644\0" + "0000001\0" + "0000002\0")
        #expect(field(124, 24) == "00000000002\0" + "00000000010\0")
        #expect(field(156, 1) == "0")
        #expect(field(257, 8) == "ustar\u{0}00")
        #expect(field(512, 3) == "yo\0")
    }

    @Test("contents are skipped or read, as the caller likes")
    func contents() throws {
        let reader = TarReader(MemorySource(try tar([file("a", "12345"), file("b", String(repeating: "x", count: 1000))])))
        _ = try reader.next()
        let second = try #require(try reader.next())
        #expect(second.size == 1000)
        var bytes: [UInt8] = []
        try withUnsafeTemporaryAllocation(byteCount: 300, alignment: 1) { buffer in
            while case let count = try reader.read(into: buffer), count > 0 { bytes += buffer[..<count] }
        }
        #expect(bytes == Array(repeating: UInt8(ascii: "x"), count: 1000))
        #expect(try reader.next() == nil)
    }

    @Test("numbers in base 256 are read, negative ones as well")
    func binaryNumbers() throws {
        var bytes = try tar([file("a")])
        func patch(_ start: Int, _ field: [UInt8]) {
            bytes.replaceSubrange(start..<(start + field.count), with: field)
            bytes.replaceSubrange(148..<156, with: Array("        ".utf8))
            let sum = bytes[..<512].reduce(0) { $0 + Int($1) }
            let digits = String(sum, radix: 8)
            bytes.replaceSubrange(148..<155, with: Array((String(repeating: "0", count: 6 - digits.count) + digits + "\0").utf8))
        }
        patch(136, [UInt8](repeating: 0xff, count: 11) + [0xfe])
        patch(108, [0x80, 0, 0, 0, 0, 1, 0, 0])
        let entry = try #require(try entries(bytes).first)
        #expect(entry.modified.seconds == -2)
        #expect(entry.uid == 65536)
    }

    @Test("an owner that does not fit is refused, not cut off")
    func ownerOutOfRange() throws {
        let header = paxEntry(["uid=4294967296"])
        #expect(throws: ArchiveError.self) { try entries(header) }
    }

    @Test(
        "a broken extended header is refused",
        arguments: ["5 a=b\n", "99 path=x\n", "x path=y\n", " path=y\n", "9 path=y", "11 mtime=zz\n"])
    func brokenExtendedHeader(_ records: String) throws {
        #expect(throws: ArchiveError.self) { try entries(rawPaxEntry(records)) }
    }

    @Test("limits hold for entries, names, extended headers and attributes")
    func limits() throws {
        var limits = ArchiveLimits()
        limits.entries = 2
        #expect(throws: ArchiveError.self) { try entries(tar([file("a"), file("b"), file("c")]), limits: limits) }
        limits = ArchiveLimits()
        limits.pathBytes = 200
        #expect(throws: ArchiveError.self) { try entries(tar([file(String(repeating: "n", count: 201))]), limits: limits) }
        limits.headerBytes = 100
        #expect(throws: ArchiveError.self) { try entries(tar([file(String(repeating: "n", count: 150))]), limits: limits) }
        limits = ArchiveLimits()
        limits.attributes = 3
        let flood = (0..<4).map { TarAttribute(name: "user.\($0)", value: []) }
        #expect(throws: ArchiveError.self) {
            try entries(tar([(TarEntry(path: [65], kind: .file, attributes: flood), "")]), limits: limits)
        }
    }

    @Test("a huge extended header is refused before it is read")
    func hugeExtendedHeader() throws {
        var header = Array(try tar([file("x")])[..<512])
        header[156] = UInt8(ascii: "x")
        header.replaceSubrange(124..<135, with: Array("07777777777".utf8))
        #expect(throws: ArchiveError.self) { try entries(withChecksum(header)) }
    }

    @Test("an archive that ends early is an error", arguments: [100, 512, 700, 1023])
    func truncated(_ length: Int) throws {
        let bytes = try tar([file("a", String(repeating: "x", count: 600))])
        #expect(throws: ArchiveError.self) { try entries(Array(bytes[..<length])) }
    }

    @Test("a wrong checksum is an error")
    func checksum() throws {
        var bytes = try tar([file("a")])
        bytes[0] ^= 1
        #expect(throws: ArchiveError.self) { try entries(bytes) }
    }
}

func withChecksum(_ header: [UInt8]) -> [UInt8] {
    var bytes = header
    bytes.replaceSubrange(148..<156, with: Array("        ".utf8))
    let digits = String(bytes[..<512].reduce(0) { $0 + Int($1) }, radix: 8)
    bytes.replaceSubrange(148..<155, with: Array((String(repeating: "0", count: 6 - digits.count) + digits + "\0").utf8))
    return bytes
}

/// A file after an extended header with this content.
func rawPaxEntry(_ records: String) throws -> [UInt8] {
    var bytes = try tar([file("pax", records)])
    bytes[156] = UInt8(ascii: "x")
    let header = withChecksum(Array(bytes[..<512]))
    return header + bytes[512..<(bytes.count - 1024)] + (try tar([file("x")]))
}

func paxEntry(_ records: [String]) -> [UInt8] {
    let text = records.map { record in
        let rest = record.utf8.count + 2
        let length = rest + "\(rest + 2)".utf8.count
        return "\(length) \(record)\n"
    }.joined()
    return (try? rawPaxEntry(text)) ?? []  // An empty archive makes the test fail.
}
