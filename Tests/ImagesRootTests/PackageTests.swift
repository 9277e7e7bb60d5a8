import Linux
import SystemPackage
import Testing

@testable import Images

@Suite("Packages of an image") struct PackageTests {
    /// A tree of files, gone after the body.
    private func withTree<T>(_ files: [String: String], _ body: (FilePath) throws -> T) throws -> T {
        let root = FilePath("/tmp/skiff-test-\(UInt64.random(in: .min ... .max))")
        try makeDirectories(root, mode: 0o755)
        for (name, content) in files {
            let path = root.appending(name)
            try makeDirectories(path.removingLastComponent(), mode: 0o755)
            try writeAtomically(Array(content.utf8), to: path, mode: 0o644, sync: false)
        }
        let result = Result { try body(root) }
        try removeTree(root)
        return try result.get()
    }

    private func urls(_ root: FilePath) throws -> [String] {
        let inventory = try PackageInventory(in: OwnedFD.open(root, [.readOnly, .directory]))
        return inventory.packages.map { $0.url(on: inventory.distribution).text }
    }

    @Test("what Debian's, Alpine's, Python's and Node's own lists say is found, and nothing else")
    func allKinds() throws {
        let files = [
            "etc/os-release": "NAME=x\nID=debian\nVERSION_ID=\"12\"\n",
            "var/lib/dpkg/status":
                "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-15\nDescription: x\n goes on: here\n\n"
                + "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2:2.36\n",
            "var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024a\nArchitecture: all\n",
            "var/lib/dpkg/status.d/tzdata.md5sums": "Package: never\nVersion: 1\n",
            "lib/apk/db/installed": "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld.so\n\nP:zlib\nV:1.3-r0\nA:x86_64\n\n",
            "usr/lib/python3/dist-packages/Foo_Bar-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\n\nName: body\n",
            "usr/lib/python3/old.egg-info/PKG-INFO": "Name: old\nVersion: 2\n", "usr/lib/python3/flat.egg-info": "Name: flat\nVersion: 3\n",
            "usr/lib/python3/METADATA": "Name: not\nVersion: 1\n", "app/node_modules/one/package.json": #"{"name":"one","version":"1.2.3"}"#,
            "app/node_modules/@s/two/package.json": #"{"name":"@s/two","version":"4.5.6"}"#,
            "app/package.json": #"{"name":"app","version":"0"}"#, "app/node_modules/one/lib/package.json": #"{"name":"part","version":"0"}"#,
            "app/node_modules/bad/package.json": "{", "app/node_modules/odd/package.json": #"{"name":7,"version":"1"}"#,
        ]
        try withTree(files) { root in
            let found = try urls(root)
            #expect(
                found == [
                    "pkg:apk/debian/musl@1.2.4-r2?arch=x86_64&distro=debian-12", "pkg:apk/debian/zlib@1.3-r0?arch=x86_64&distro=debian-12",
                    "pkg:deb/debian/bash@5.2-15?arch=amd64&distro=debian-12", "pkg:deb/debian/libc6@2:2.36?arch=i386&distro=debian-12",
                    "pkg:deb/debian/tzdata@2024a?arch=all&distro=debian-12", "pkg:npm/%40s/two@4.5.6", "pkg:npm/one@1.2.3", "pkg:pypi/flat@3",
                    "pkg:pypi/foo-bar@1.0", "pkg:pypi/old@2",
                ])
        }
    }

    @Test("links, pipes and nonsense in an image lead nowhere and harm nothing")
    func hostile() throws {
        try withTree(["tmp/status": "Package: outside\nVersion: 1\n"]) { outside in
            let files = [
                "var/lib/dpkg/x": "", "lib/apk/db/installed": "P:\nV:1\n\nP:a b\nV:1\n\nP:ok\nV:\u{1}\n\nV:1\n\n:::\n\u{0}",
                "node_modules/deep/package.json": String(repeating: "[", count: 100_000), "etc/os-release": "ID=\nVERSION_ID\n=x\nID='a b'\n",
                "node_modules/big/package.json": #"{"name":"big","version":"1","x":""# + String(repeating: "x", count: 2 << 20) + #""}"#,
            ]
            try withTree(files) { root in
                let folder = try OwnedFD.open(root.appending("var/lib/dpkg"), [.readOnly, .directory])
                try symlinkat(Array("\(outside)/tmp/status".utf8), folder, FileName("status"))
                try symlinkat(Array("../../../../../../..\(outside)/tmp".utf8), folder, FileName("status.d"))
                let modules = try OwnedFD.open(root.appending("node_modules"), [.readOnly, .directory])
                try symlinkat(Array("/".utf8), modules, FileName("round"))
                try mknodat(modules, FileName("pipe.egg-info"), kind: .fifo, mode: 0o777)
                #expect(try urls(root) == [])
            }
        }
    }

    @Test("RPM's database is noticed, though not read")
    func rpm() throws {
        try withTree(["usr/lib/sysimage/rpm/rpmdb.sqlite": "x"]) { root in
            let inventory = try PackageInventory(in: OwnedFD.open(root, [.readOnly, .directory]))
            #expect(inventory.hasRPM)
        }
    }

    private static let goModules = [
        "path\tx/cmd", "mod\tgithub.com/x/y\t(devel)\t", "dep\tGoLang.org/x/net\tv0.1.0\th1:a=", "dep\told\tv1", "=>\tnew/one\tv2\th1:b=",
        "build\t-ldflags",
    ].map { $0 + "\n" }.joined()

    private static let goURLs = ["pkg:golang/github.com/x/y", "pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/new/one@v2"]

    private static func goSection(flags: UInt8 = 2) -> [UInt8] {
        let marked = [UInt8](repeating: 1, count: 16) + Array(goModules.utf8) + [UInt8](repeating: 2, count: 16)
        let head = [0xFF] + Array(" Go buildinf:".utf8) + [8, flags]
        return head + [UInt8](repeating: 0, count: 32 - head.count) + [6] + Array("go1.22".utf8)
            + [UInt8(marked.count & 0x7F) | 0x80, UInt8(marked.count >> 7)] + marked
    }

    /// No more of a program than its sections.
    private static func program(_ section: [UInt8]) -> [UInt8] {
        let names = Array("\0.go.buildinfo\0".utf8)
        func header(name: Int, offset: Int, size: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 64)
            for (at, value) in [(0, name), (24, offset), (32, size)] { for byte in 0..<4 { bytes[at + byte] = UInt8(value >> (8 * byte) & 0xFF) } }
            return bytes
        }
        let places = (section: 64, names: 64 + section.count, table: 64 + section.count + names.count)
        var head = [0x7F, 0x45, 0x4C, 0x46, 2, 1] + [UInt8](repeating: 0, count: 58)
        for byte in 0..<4 { head[40 + byte] = UInt8(places.table >> (8 * byte) & 0xFF) }
        (head[58], head[60], head[62]) = (64, 2, 1)
        return head + section + names + header(name: 1, offset: places.section, size: section.count)
            + header(name: 0, offset: places.names, size: names.count)
    }

    @Test("the modules of a program of Go are told, with what takes the place of one")
    func goModules() throws {
        #expect(GoProgram.modules(Self.goSection()) == Self.goModules)
        #expect(GoProgram.modules(Self.goSection(flags: 0)) == nil)
        #expect(GoProgram.modules(Array(Self.goSection().dropLast())) == nil)
        #expect(GoProgram.modules(Array(Self.goSection().prefix(32)) + [UInt8](repeating: 0xFF, count: 64)) == nil)
        try withTree(["bin/x": ""]) { root in
            try writeAtomically(Self.program(Self.goSection()), to: root.appending("bin/x"), mode: 0o755, sync: false)
            try writeAtomically(Self.program(Self.goSection()), to: root.appending("bin/data"), mode: 0o644, sync: false)
            let found = try urls(root)
            #expect(found == Self.goURLs)
        }
    }

    @Test("a program with any byte changed, or cut anywhere, is read or not, and harms nothing")
    func brokenPrograms() throws {
        let whole = Self.program(Self.goSection())
        try withTree(["x": ""]) { root in
            func read(_ bytes: [UInt8]) throws -> [InstalledPackage] {
                try writeAtomically(bytes, to: root.appending("x"), mode: 0o755, sync: false)
                return try GoProgram.packages(OwnedFD.open(root.appending("x"), .readOnly), source: "x")
            }
            let all = try read(whole)
            #expect(all.count == 3)
            for index in Set(0..<128).union(whole.count - 160..<whole.count) {
                var bytes = whole
                bytes[index] = bytes[index] == 0xFF ? 0x7F : 0xFF
                #expect(try read(bytes).count <= 3)
                #expect(try read(Array(whole.prefix(index))).isEmpty)
            }
        }
    }

    @Test("lists of any size and any lines are read within bounds, and their reading can be stopped")
    func largeLists() throws {
        let files = [
            "var/lib/dpkg/status": "", "var/lib/dpkg/status.d/a": "Package: a\nVersion: 1\n", "var/lib/dpkg/status.d/b": "Package: b\nVersion: 1\n",
        ]
        try withTree(files) { tree in
            let root = try OwnedFD.open(tree, [.readOnly, .directory])
            func read(mostBytes: Int) throws -> [String] {
                var (lists, found) = (DistributionPackages(mostBytes: mostBytes, check: {}), [String]())
                try lists.debian(in: root) { found.append($0.name) }
                return found
            }
            #expect(try read(mostBytes: 44) == ["a", "b"])
            // All of them together.
            #expect(throws: ImageError.self) { try read(mostBytes: 43) }

            func write(_ text: String) throws {
                try writeAtomically(Array(text.utf8), to: tree.appending("var/lib/dpkg/status"), mode: 0o644, sync: false)
            }
            try write(
                "Package: \(String(repeating: "x", count: 1 << 20))\nPackage: c\n\n\nVersion: 1\n\nPackage: d\nVersion: 1\n \(String(repeating: "y", count: 1 << 20))"
            )
            #expect(try read(mostBytes: 64 << 20) == ["d", "a", "b"])
            try write(String(repeating: "\n", count: 5000))
            #expect(throws: CancellationError.self) { try PackageInventory(in: root) { throw CancellationError() } }
            try write((0..<30_000).map { "Package: p\($0)\nVersion: 1\n\n" }.joined())
            #expect(throws: ImageError.self) { try PackageInventory(in: root) }
        }
    }

    @Test("packages with one address are always in the same order")
    func order() {
        let packages = ["a_b", "a-b", "A-b", "A_B"].compactMap { InstalledPackage(.python, $0[...], "1", source: "x") }
        for shift in 0..<4 {
            let turned = Array(packages[shift...] + packages[..<shift])
            #expect(PackageInventory(distribution: Distribution(), packages: turned).packages.map(\.name) == ["A-b", "A_B", "a-b", "a_b"])
        }
    }

    @Test("sections of a program that all have one long name take no time", .timeLimit(.minutes(1)))
    func longNames() throws {
        let (count, names) = (512, 4 << 20)
        var program = [0x7F, 0x45, 0x4C, 0x46, 2, 1] + [UInt8](repeating: 0, count: 58)
        func write(_ value: Int, at place: Int) { for byte in 0..<4 { program[place + byte] = UInt8(value >> (8 * byte) & 0xFF) } }
        write(64, at: 40)
        (program[58], program[61]) = (64, 2)
        program += [UInt8](repeating: 0, count: count * 64) + [UInt8](repeating: 0x61, count: names)
        write(64 + count * 64, at: 64 + 24)
        write(names, at: 64 + 32)
        try withTree(["x": ""]) { root in
            try writeAtomically(program, to: root.appending("x"), mode: 0o755, sync: false)
            #expect(try GoProgram.packages(OwnedFD.open(root.appending("x"), .readOnly), source: "x").isEmpty)
        }
    }
}
