import Archive
import Linux
import SystemPackage
import Testing

/// The corners of a format with forty years of history.
@Suite struct TarCornerTests {
    // MARK: Sparse files, in each of GNU's four ways

    private static let stored = "abcxyz"
    private static let expected = [UInt8]("abc".utf8) + [UInt8](repeating: 0, count: 997) + [UInt8]("xyz".utf8)

    private func checkSparse(_ bytes: [UInt8]) throws {
        try withFolder { path in
            try unpack(bytes, to: path)
            let file = try OwnedFD.open(path.appending("real"), .readOnly)
            #expect(try file.readAll(limit: 1 << 20) == Self.expected)
        }
    }

    @Test("a sparse file of version 0.0 has its map in many records")
    func sparse00() throws {
        let records =
            ["GNU.sparse.size=1003", "GNU.sparse.numblocks=2"]
            + [(0, 3), (1000, 3)].flatMap {
                ["GNU.sparse.offset=\($0.0)", "GNU.sparse.numbytes=\($0.1)"]
            }
        try checkSparse(extended(records, file("real", Self.stored)))
    }

    @Test("a sparse file of version 0.1 has its map in one record, and its name in another")
    func sparse01() throws {
        let records = ["GNU.sparse.size=1003", "GNU.sparse.numblocks=2", "GNU.sparse.name=real", "GNU.sparse.map=0,3,1000,3"]
        try checkSparse(extended(records, file("GNUSparseFile.1/real", Self.stored)))
    }

    @Test("an old sparse file has its map in the header, and in blocks after it when it is long", arguments: [2, 30])
    func oldSparse(_ count: Int) throws {
        // Equal parts of one byte, a hundred apart.
        let segments = (0..<count).map { ($0 * 100, 1) }
        let size = (count - 1) * 100 + 1
        var header = try gnuHeader("real", type: "S", size: count)
        func put(_ value: Int, _ start: Int, in block: inout [UInt8]) {
            let digits = String(value, radix: 8)
            block.replaceSubrange(
                start..<(start + 12), with: Array((String(repeating: "0", count: 11 - digits.count) + digits + "\0").utf8))
        }
        for (index, segment) in segments.prefix(4).enumerated() {
            put(segment.0, 386 + index * 24, in: &header)
            put(segment.1, 398 + index * 24, in: &header)
        }
        header[482] = count > 4 ? 1 : 0
        put(size, 483, in: &header)
        var bytes = withChecksum(header)
        var rest = segments.dropFirst(4)
        while !rest.isEmpty {
            var block = [UInt8](repeating: 0, count: 512)
            for (index, segment) in rest.prefix(21).enumerated() {
                put(segment.0, index * 24, in: &block)
                put(segment.1, index * 24 + 12, in: &block)
            }
            rest = rest.dropFirst(21)
            block[504] = rest.isEmpty ? 0 : 1
            bytes += block
        }
        bytes += [UInt8](repeating: 65, count: count) + [UInt8](repeating: 0, count: 512 - count + 1024)
        try withFolder { path in
            try unpack(bytes, to: path)
            let all = try OwnedFD.open(path.appending("real"), .readOnly).readAll(limit: 1 << 20)
            #expect(all.count == size)
            #expect(all.indices.filter { all[$0] == 65 } == segments.map(\.0))
        }
    }

    @Test("a flood of sparse records is refused")
    func sparseFlood() throws {
        var limits = ArchiveLimits()
        limits.sparseSegments = 50
        let records = ["GNU.sparse.numblocks=51"] + (0..<51).flatMap { ["GNU.sparse.offset=\($0)", "GNU.sparse.numbytes=0"] }
        #expect(throws: ArchiveError.self) { try entries(extended(records, file("f", "")), limits: limits) }
    }

    // MARK: Names, numbers, times

    @Test("long names of the old GNU form are read, also such that are no UTF-8")
    func longNames() throws {
        let name = [UInt8](repeating: 0xff, count: 300)
        func remark(_ type: Character, _ text: [UInt8]) throws -> [UInt8] {
            try gnuHeader("././@LongLink", type: type, size: text.count + 1) + text
                + [UInt8](repeating: 0, count: 512 - text.count % 512)
        }
        let target = Array(String(repeating: "t/", count: 200).utf8)
        var bytes = try remark("L", name) + remark("K", target)
        bytes += try tar([link("short", to: "short")])
        let entry = try #require(try entries(bytes).first)
        #expect(entry.path == name)
        #expect(entry.linkTarget == target)
        #expect(entry.kind == .symbolicLink)
    }

    @Test(
        "times before the epoch, far away and between two seconds are exact",
        arguments: [
            ("mtime=-1.25", -2, 750_000_000), ("mtime=-3", -3, 0), ("mtime=1.5", 1, 500_000_000), ("mtime=7.1234567891", 7, 123_456_789),
            ("mtime=1099511627776.000000001", 1_099_511_627_776, 1), ("mtime=0.", 0, 0),
        ] as [(String, Int64, Int64)])
    func times(_ record: String, _ seconds: Int64, _ nanoseconds: Int64) throws {
        let entry = try #require(try entries(extended([record], file("f"))).first)
        #expect(entry.modified == FileMetadata.Time(seconds: seconds, nanoseconds: nanoseconds))
    }

    @Test("owners beyond 2^31 are kept, and what is no owner is refused")
    func owners() throws {
        let entry = try #require(try entries(extended(["uid=2147483648", "gid=4294967294"], file("f"))).first)
        #expect(entry.uid == 2_147_483_648)
        #expect(entry.gid == 4_294_967_294)
        for record in ["uid=4294967295", "gid=18446744073709551616", "uid=-1", "uid=1x"] {
            #expect(throws: ArchiveError.self) { try entries(extended([record], file("f"))) }
        }
    }

    @Test("a remark of the archive is passed over, an entry of unknown kind is an error")
    func kinds() throws {
        let label = try gnuHeader("volume", type: "V", size: 0)
        #expect(try entries(label + tar([file("f")])).map(\.displayPath) == ["f"])
        let dumped = try gnuHeader("folder/", type: "D", size: 3) + [89, 102, 0] + [UInt8](repeating: 0, count: 509)
        let read = try entries(dumped + tar([file("f")]))
        #expect(read.map(\.kind) == [.directory, .file])
        for type in ["M", "Z", "8"] as [Character] {
            #expect(throws: ArchiveError.self) { try entries(gnuHeader("f", type: type, size: 0) + tar([])) }
        }
    }

    @Test("extended headers without end are stopped by the limit on entries")
    func manyHeaders() throws {
        var limits = ArchiveLimits()
        limits.entries = 10
        let one = try extended(["comment=x"], file("f")).prefix(1024)
        let flood = (0..<100).flatMap { _ in one }
        #expect(throws: ArchiveError.tooLarge("more than 10 entries")) { try entries(flood, limits: limits) }
    }

    // MARK: On disk

    @Test("a hard link may cross directories, lead to a link, and to what was replaced before")
    func hardLinks() throws {
        try withFolder { path in
            try unpack(
                tar([
                    file("a/one", "1"), file("a/one", "2"), link("b/two", to: "a/one", hard: true), link("b/three", to: "./b/../b/two", hard: true),
                    link("s", to: "a/one"), link("t", to: "s", hard: true), link("b/two", to: "a/one", hard: true),
                ]), to: path)
            #expect(try content(path.appending("b/three")) == "2")
            #expect(try lstatIfExists(path.appending("a/one"))?.links == 3)
            #expect(try lstatIfExists(path.appending("t"))?.kind == .symbolicLink)
        }
    }

    @Test("sockets are left out of an archive, fifos are not")
    func sockets() throws {
        try withFolder { path in
            let directory = try OwnedFD.open(path, [.readOnly, .directory])
            try mknodat(directory, FileName("socket"), kind: .socket, mode: 0o600)
            try mknodat(directory, FileName("fifo"), kind: .fifo, mode: 0o600)
            let sink = MemorySink()
            let writer = TarWriter(sink)
            try TreeArchive(writer).addContents(of: directory)
            try writer.finish()
            #expect(try entries(sink.bytes).map(\.displayPath) == ["fifo"])
        }
    }

    @Test("users' attributes of a link are left out, since links have none")
    func attributesOfLinks() throws {
        var (entry, _) = link("l", to: "x")
        entry.attributes = [TarAttribute(name: "user.note", value: [1])]
        try withFolder { path in
            try unpack(tar([(entry, "")]), to: path)
            #expect(try lstatIfExists(path.appending("l"))?.kind == .symbolicLink)
        }
    }

    private func gnuHeader(_ name: String, type: Character, size: Int) throws -> [UInt8] {
        var header = Array(try tar([file(name)])[..<512])
        let digits = String(size, radix: 8)
        header.replaceSubrange(124..<135, with: Array((String(repeating: "0", count: 11 - digits.count) + digits).utf8))
        header.replaceSubrange(257..<265, with: Array("ustar  \0".utf8))
        header[156] = type.asciiValue ?? 0
        return withChecksum(header)
    }

    /// An entry with these records before it.
    private func extended(_ records: [String], _ entry: (TarEntry, String)) throws -> [UInt8] {
        let text = records.map { record in
            var length = record.utf8.count + 2
            while length != record.utf8.count + 2 + "\(length)".utf8.count { length = record.utf8.count + 2 + "\(length)".utf8.count }
            return "\(length) \(record)\n"
        }.joined()
        var bytes = try tar([file("pax", text)])
        bytes[156] = UInt8(ascii: "x")
        return withChecksum(Array(bytes[..<512])) + bytes[512..<(bytes.count - 1024)] + (try tar([entry]))
    }
}
