import Archive
import Linux
import SystemPackage
import Testing

@Suite struct ExtractionTests {
    @Test("files, links and directories arrive with their modes and times")
    func plain() throws {
        try withFolder { path in
            try unpack(
                tar([
                    (TarEntry(path: Array("d/".utf8), kind: .directory, mode: 0o1770, modified: .init(seconds: 1000)), ""),
                    file("d/f", mode: 0o4711, "hello"), link("d/s", to: "../nowhere"), link("d/h", to: "d/f", hard: true),
                    file("made/on/the/way", "x"),
                ]), to: path)
            #expect(try content(path.appending("d/f")) == "hello")
            let metadata = try #require(try lstatIfExists(path.appending("d/f")))
            #expect(metadata.permissions == 0o4711)
            #expect(metadata.links == 2)
            let folder = try #require(try lstatIfExists(path.appending("d")))
            #expect(folder.permissions == 0o1770)
            #expect(folder.modified.seconds == 1000)
            #expect(try lstatIfExists(path.appending("d/s"))?.kind == .symbolicLink)
            #expect(try content(path.appending("made/on/the/way")) == "x")
        }
    }

    @Test("a name that leaves the root is refused", arguments: ["../x", "a/../../x", "/../x", "a/b/../../../x"])
    func dotDot(_ name: String) throws {
        try withFolder { path in
            let inside = path.appending("root")
            try makeDirectories(inside)
            #expect(throws: ArchiveError.self) { try unpack(tar([file(name, "bad")]), to: inside) }
            #expect(try lstatIfExists(path.appending("x")) == nil)
        }
    }

    @Test("absolute names and dots inside stay inside", arguments: ["/etc/x", "./etc/x", "//etc//x", "a/../etc/x", "etc/./x"])
    func absolute(_ name: String) throws {
        try withFolder { path in
            try unpack(tar([file(name, "in")]), to: path)
            #expect(try content(path.appending("etc/x")) == "in")
        }
    }

    @Test("a link to the outside leads to the inside", arguments: ["/", "../../../..", "/tmp", "/proc/self/root"])
    func linkOut(_ target: String) throws {
        try withFolder { path throws in
            let name = "skiff-canary-\(UInt32.random(in: .min ... .max))"
            // Refused or placed inside; which of the two depends on the target, which is missing inside.
            _ = try? unpack(tar([link("out", to: target), file("out/\(name)", "bad")]), to: path)
            #expect(try lstatIfExists(FilePath("/").appending(name)) == nil)
            #expect(try lstatIfExists(FilePath("/tmp").appending(name)) == nil)
            #expect(try lstatIfExists(path.appending("out"))?.kind == .symbolicLink)
        }
    }

    @Test("writing to a name that is a link replaces the link")
    func fileOverLink() throws {
        try withFolder { path in
            let canary = path.appending("canary")
            try writeAtomically(Array("safe".utf8), to: canary, sync: false)
            let root = path.appending("root")
            try makeDirectories(root)
            try unpack(tar([link("f", to: canary.string), file("f", "new")]), to: root)
            #expect(try content(canary) == "safe")
            #expect(try content(root.appending("f")) == "new")
        }
    }

    @Test("a hard link to a symbolic link is one to the link, not to what it names")
    func hardLinkToLink() throws {
        try withFolder { path in
            let canary = path.appending("canary")
            try writeAtomically(Array("safe".utf8), to: canary, mode: 0o600, sync: false)
            let root = path.appending("root")
            try makeDirectories(root)
            try unpack(
                tar([link("s", to: canary.string), link("h", to: "s", hard: true), file("h", mode: 0o777, "bad")]), to: root)
            #expect(try content(canary) == "safe")
            #expect(try lstatIfExists(canary)?.permissions == 0o600)
            #expect(throws: (any Error).self) { try unpack(tar([link("x", to: "../canary", hard: true)]), to: root) }
            #expect(throws: (any Error).self) { try unpack(tar([link("y", to: "missing", hard: true)]), to: root) }
        }
    }

    @Test("later entries replace earlier ones, whatever kind they are")
    func duplicates() throws {
        try withFolder { path in
            try unpack(
                tar([
                    file("a", "1"), file("a", "2"), folder("b"), file("b/x", "1"), link("b", to: "c"), folder("c"), file("c", "3"),
                    file("d", "4"), folder("d"), file("d/x", "5"), folder("e", mode: 0o700), file("e/x", "6"), folder("e", mode: 0o755),
                ]), to: path)
            #expect(try content(path.appending("a")) == "2")
            #expect(try lstatIfExists(path.appending("b"))?.kind == .symbolicLink)
            #expect(try content(path.appending("c")) == "3")
            #expect(try content(path.appending("d/x")) == "5")
            #expect(try content(path.appending("e/x")) == "6")
            #expect(try lstatIfExists(path.appending("e"))?.permissions == 0o755)
        }
    }

    @Test("names that are not UTF-8 are kept as bytes")
    func byteNames() throws {
        try withFolder { path in
            try unpack(tar([(TarEntry(path: [0xff, 0x2f, 0xfe], kind: .file), "x")]), to: path)
            let root = try OwnedFD.open(path, [.readOnly, .directory])
            #expect(try namesInDirectory(root).map(\.bytes) == [[0xff]])
        }
    }

    @Test("a sparse file gets its holes back")
    func sparse() throws {
        // GNU 1.0: the map stands before the content.
        let map = "2\n0\n3\n1000000\n2\n"
        let body = map + String(repeating: "\0", count: 512 - map.utf8.count) + "abcxy"
        func record(_ text: String) -> String { "\(text.utf8.count + 4) \(text)\n" }
        let records =
            record("GNU.sparse.major=1") + record("GNU.sparse.minor=0") + record("GNU.sparse.name=real")
            + record("GNU.sparse.realsize=1000002")
        var pax = try tar([file("pax", records)])
        pax[156] = UInt8(ascii: "x")
        let bytes = withChecksum(Array(pax[..<512])) + pax[512..<1024] + (try tar([file("fake", body)]))
        try withFolder { path in
            try unpack(bytes, to: path)
            let metadata = try #require(try lstatIfExists(path.appending("real")))
            #expect(metadata.size == 1_000_002)
            #expect(metadata.allocatedBytes < 100_000)
            let file = try OwnedFD.open(path.appending("real"), .readOnly)
            let all = try file.readAll(limit: 2 << 20)
            #expect(all.prefix(4) == [97, 98, 99, 0])
            #expect(all.suffix(2) == [120, 121])
        }
    }

    @Test(
        "a sparse map that lies is refused",
        arguments: ["1\n0\n9\n", "1\n999999999999\n5\n", "99999999\n", "2\n3\n2\n0\n3\n", "1\n-1\n5\n", "x\n"])
    func lyingSparseMap(_ map: String) throws {
        let body = map + String(repeating: "\0", count: 512 - map.utf8.count) + "abcxy"
        func record(_ text: String) -> String { "\(text.utf8.count + 4) \(text)\n" }
        var pax = try tar([file("pax", record("GNU.sparse.major=1") + record("GNU.sparse.realsize=10"))])
        pax[156] = UInt8(ascii: "x")
        let bytes = withChecksum(Array(pax[..<512])) + pax[512..<1024] + (try tar([file("fake", body)]))
        try withFolder { path in
            _ = #expect(throws: ArchiveError.self) { try unpack(bytes, to: path) }
        }
    }

    @Test("what an archive of a tree holds does not depend on the order on disk, and comes back the same")
    func treeRoundTrip() throws {
        try withFolder { path in
            let (one, two) = (path.appending("one"), path.appending("two"))
            try makeDirectories(one)
            try makeDirectories(two)
            let original = try tar([
                file("b", "2"), folder("a"), file("a/z", "1"), file("a.b", "3"), link("s", to: "a"), link("h", to: "b", hard: true),
            ])
            try unpack(original, to: one)
            let packed = try archive(of: one)
            #expect(try entries(packed).map(\.displayPath) == ["a/", "a/z", "a.b", "b", "h", "s"])
            try unpack(packed, to: two)
            #expect(try archive(of: two) == packed)
        }
    }

    private func archive(of path: FilePath) throws -> [UInt8] {
        let sink = MemorySink()
        let writer = TarWriter(sink)
        let directory = try OwnedFD.open(path, [.path, .directory])
        try TreeArchive(writer, options: TreeOptions(owner: (0, 0))).addContents(of: directory)
        try writer.finish()
        return sink.bytes
    }
}
