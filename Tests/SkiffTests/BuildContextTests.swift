import Archive
import FoundationEssentials
import NIOCore
import Testing

@testable import SkiffCommands

@Suite("build context")
struct BuildContextTests {
    /// The names in the archive that a build of this folder would send.
    private func names(_ files: [String: String], dockerfile: String = "") async throws -> (names: [String], dockerfile: String) {
        let folder = FileManager.default.temporaryDirectory.path + "/skiff-context-\(UInt64.random(in: 0 ... .max))"
        defer {
            // Only the test's own folder; nothing depends on it any more.
            try? FileManager.default.removeItem(atPath: folder)
        }
        for (name, content) in files {
            let path = folder + "/" + name
            let parent = path.split(separator: "/").dropLast().joined(separator: "/")
            try FileManager.default.createDirectory(atPath: "/" + parent, withIntermediateDirectories: true)
            try Data(content.utf8).write(to: URL(filePath: path))
        }
        let context = try BuildContext.open(folder, dockerfile: dockerfile, workingDirectory: folder)
        var bytes: [UInt8] = []
        while let chunk = try await context.next() { bytes += Array(chunk.readableBytesView) }
        let reader = TarReader(MemorySource(bytes))
        var names: [String] = []
        while let entry = try reader.next() { names.append(entry.displayPath) }
        return (names.sorted(), context.dockerfile)
    }

    @Test("what the ignore file names stays behind, the Dockerfile and the ignore file never")
    func ignores() async throws {
        let (names, dockerfile) = try await names([
            "Dockerfile": "FROM x", ".dockerignore": "*.tmp\nsub/*.log\nnode\n!node/keep\nDockerfile\n", "a": "1", "b.tmp": "2",
            "sub/x.log": "3", "sub/y": "4", "node/drop": "5", "node/keep": "6",
        ])
        #expect(dockerfile == "Dockerfile")
        #expect(names == [".dockerignore", "Dockerfile", "a", "node/keep", "sub/", "sub/y"])
    }

    @Test("a Dockerfile may have another name in the context")
    func otherName() async throws {
        let (names, dockerfile) = try await names(["docker/dev.Dockerfile": "FROM x", "a": "1"], dockerfile: "docker/dev.Dockerfile")
        #expect(dockerfile == "docker/dev.Dockerfile")
        #expect(names == ["a", "docker/", "docker/dev.Dockerfile"])
    }

    @Test("a Dockerfile from elsewhere travels under a name of its own")
    func elsewhere() async throws {
        let (names, dockerfile) = try await names(["a": "1"], dockerfile: "/etc/hostname")
        #expect(dockerfile.hasPrefix(".dockerfile."))
        #expect(names == [dockerfile, "a"])
    }

    @Test("what is missing is told in Docker's words")
    func missing() async {
        await #expect(throws: CommandFailure.self) { try await names(["a": "1"]) }
    }

    @Test("the first name of every path in an archive can be replaced or left out")
    func renaming() {
        func renamed(_ path: String, _ name: String?) -> String {
            String(decoding: TarRenaming.renamed(Array(path.utf8), name.map { Array($0.utf8) }), as: UTF8.self)
        }
        #expect(renamed("hosts", "h") == "h")
        #expect(renamed("etc/hosts", "copy") == "copy/hosts")
        #expect(renamed("etc/a/b", nil) == "a/b")
        #expect(renamed("etc/", nil) == "")
    }
}
