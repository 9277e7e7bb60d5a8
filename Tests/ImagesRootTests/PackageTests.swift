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

    @Test("the modules of a program of Go are told, with what takes the place of one")
    func goModules() {
        let lines = [
            "path\tx/cmd", "mod\tgithub.com/x/y\t(devel)\t", "dep\tGoLang.org/x/net\tv0.1.0\th1:a=", "dep\told\tv1", "=>\tnew/one\tv2\th1:b=",
            "build\t-ldflags",
        ]
        let text = lines.map { $0 + "\n" }.joined()
        let marked = [UInt8](repeating: 1, count: 16) + Array(text.utf8) + [UInt8](repeating: 2, count: 16)
        let head = [0xFF] + Array(" Go buildinf:".utf8)
        let section = { (flags: UInt8) in
            head + [8, flags] + [UInt8](repeating: 0, count: 32 - head.count - 2) + [6] + Array("go1.22".utf8)
                + [UInt8(marked.count & 0x7F) | 0x80, UInt8(marked.count >> 7)] + marked
        }
        #expect(GoProgram.modules(section(2)) == text)
        #expect(GoProgram.modules(section(0)) == nil)
        #expect(GoProgram.modules(Array(section(2).dropLast())) == nil)
        #expect(GoProgram.modules(head + [UInt8](repeating: 0xFF, count: 64)) == nil)
        #expect(
            GoProgram.packages(text, source: "x").map { $0.url(on: Distribution()).text } == [
                "pkg:golang/github.com/x/y", "pkg:golang/golang.org/x/net@v0.1.0", "pkg:golang/new/one@v2",
            ])
    }
}
