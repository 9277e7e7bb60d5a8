import Archive
import Images
import Linux
import OCI
import Store
import SystemPackage
import Testing

@Suite(.enabled(if: isRoot())) struct ImageCompareTests {
    @Test("files that came, went and changed are told, whatever layers they are in")
    func files() async throws {
        try await TestStore.with { store in
            let base = try await store.layer(
                [
                    folder("d/"), file("d/same"), file("d/gone"), file("d/content"), file("d/mode"), file("d/kind"), folder("tree/"), file("tree/x"),
                    TarEntry(path: Array("d/link".utf8), kind: .symbolicLink, linkTarget: Array("one".utf8)), file("d/time"),
                ], contents: ["d/same": "s", "d/gone": "1234", "d/content": "abc", "d/time": "t"])
            var touched = file("d/time")
            touched.modified = .init(seconds: 99)
            let top = try await store.layer(
                [
                    file("d/.wh.gone"), file("d/content"), file("d/mode", mode: 0o755), folder("d/kind/"), file("d/kind/in"), file(".wh.tree"),
                    TarEntry(path: Array("d/link".utf8), kind: .symbolicLink, linkTarget: Array("two".utf8)), touched, file("new"),
                ], contents: ["d/content": "xyz", "d/time": "t", "new": "12345"])
            let (one, two) = (try await store.image("one", layers: [base]), try await store.image("two", layers: [base, top]))
            let difference = try await store.images.compare(one, two)
            let lines = difference.files.map { file in
                "\(file.kind) \(file.path) \(file.sizeBefore ?? -1) \(file.sizeAfter ?? -1) \(file.changes.joined(separator: ","))"
            }
            #expect(
                lines == [
                    "changed /d/content 3 3 content", "removed /d/gone 4 -1 ", "changed /d/kind 0 0 kind", "added /d/kind/in -1 0 ",
                    "changed /d/link 0 0 link", "changed /d/mode 0 0 mode", "added /new -1 5 ", "removed /tree 0 -1 ", "removed /tree/x 0 -1 ",
                ])
            #expect(difference.packages.isEmpty)
            #expect(try await store.images.compare(two, two).files.isEmpty)
            let back = try await store.images.compare(two, one)
            #expect(back.files.count == lines.count)
            #expect(back.files.first { $0.path == "/new" }?.kind == .removed)
        }
    }

    @Test("packages of Debian are compared by name and version")
    func packages() async throws {
        func status(_ packages: [(String, String, String)]) -> String {
            packages.map { "Package: \($0.0)\nStatus: install ok \($0.2)\nArchitecture: amd64\nVersion: \($0.1)\nDescription: x\n more\n\n" }.joined()
        }
        try await TestStore.with { store in
            let path = "var/lib/dpkg/status"
            let old = try await store.layer(
                [file(path)],
                contents: [
                    path: status([("curl", "1", "installed"), ("libc6", "2", "installed"), ("vim", "3", "installed"), ("zip", "4", "config-files")])
                ])
            let new = try await store.layer(
                [file(path)], contents: [path: status([("curl", "1", "installed"), ("libc6", "2.1", "installed"), ("zip", "4", "installed")])])
            let difference = try await store.images.compare(
                try await store.image("old", layers: [old]), try await store.image("new", layers: [new]))
            let lines = difference.packages.map { "\($0.kind) \($0.name) \($0.versionBefore ?? "") \($0.versionAfter ?? "")" }
            #expect(lines == ["changed libc6 2 2.1", "removed vim 3 ", "added zip  4"])
        }
    }

    @Test("a list of packages that is a link out of the image is not followed")
    func linkOut() async throws {
        try await TestStore.with { store in
            let link = TarEntry(path: Array("var/lib/dpkg/status".utf8), kind: .symbolicLink, linkTarget: Array("/../../../var/lib/dpkg/status".utf8))
            let evil = try await store.image("evil", layers: [try await store.layer([link])])
            let plain = try await store.image("plain", layers: [try await store.layer([file("x")])])
            #expect(try await store.images.compare(plain, evil).packages.isEmpty)
        }
    }
}
