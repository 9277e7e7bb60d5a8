import OCI
import Store
import Testing

@testable import Builder

@Suite("Lock files")
struct LockFileTests {
    private let digest = Digest.sha256(of: [1])

    @Test("what is written is read again, in order and one entry a line")
    func written() throws {
        var file = LockFile()
        file.images["docker.io/library/b:1"] = ["linux/amd64": LockFile.Image(digest: digest, id: digest)]
        file.images["docker.io/library/a:1"] = ["linux/amd64": LockFile.Image(digest: nil, id: digest)]
        file.files["https://h/f"] = digest
        file.repositories["https://h/r.git#main"] = String(repeating: "a", count: 40)
        let bytes = try file.serialized()
        #expect(try LockFile(reading: bytes) == file)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { $0.filter { $0 != " " } }
        #expect(lines.count > 20 && lines.last == "}")
        #expect(lines.firstIndex(of: "\"docker.io/library/a:1\":{")! < lines.firstIndex(of: "\"docker.io/library/b:1\":{")!)
        #expect(lines.contains("\"https://h/f\":\"\(digest)\""))
    }

    @Test("another version, a digest that is none and a commit that is none are refused")
    func refused() {
        for (text, message) in [
            ("{}", "cannot be read"), ("[", "cannot be read"), (#"{"version":2}"#, "has version 2, only 1 is known here"),
            (#"{"version":1,"images":{},"files":{"a":"sha256:1"},"repositories":{}}"#, "cannot be read"),
            (#"{"version":1,"images":{},"files":{},"repositories":{"r":"--upload-pack=x"}}"#, "has no commit for r"),
        ] {
            do {
                _ = try LockFile(reading: Array(text.utf8))
                Issue.record("\(text) was read")
            } catch {
                #expect("\(error)".contains(message))
            }
        }
    }

    @Test("an input is noted, and one that is not in the file or has other content is refused")
    func inputs() throws {
        let free = InputLock()
        try free.note(file: "https://h/f", digest)
        free.note(repository: "git://h/r", String(repeating: "b", count: 40))
        #expect(free.file.files == ["https://h/f": digest] && free.file.repositories.count == 1)
        let bound = InputLock(obeying: free.file)
        #expect(try bound.digest(ofFile: "https://h/f") == digest)
        #expect(throws: BuildError.invalid("the lock file has no file https://h/g")) { try bound.digest(ofFile: "https://h/g") }
        let other = Digest.sha256(of: [2])
        #expect(throws: BuildError.failed("https://h/f has the content \(other), the lock file says \(digest)")) {
            try bound.note(file: "https://h/f", other)
        }
        // A query tells addresses apart, and is nowhere to be read.
        let secret = "https://me:pass@h/f?token=hush#part"
        try free.note(file: secret, other)
        #expect(free.file.files.count == 2 && free.file.files["https://h/f"] == digest)
        let text = String(decoding: try free.file.serialized(), as: UTF8.self)
        #expect(text.contains("\"https://h/f?sha256=") && !text.contains("hush") && !text.contains("pass"))
        #expect(try InputLock(obeying: free.file).digest(ofFile: "https://h/f?token=hush") == other)
        #expect(throws: BuildError.invalid("the lock file has no file https://h/f")) { try bound.digest(ofFile: secret) }
        let git = try #require(try GitAddress("git://h/r#main"))
        #expect(throws: BuildError.invalid("the lock file has no repository git://h/r#main")) { try bound.pinned(git, "git://h/r#main") }
        #expect(try bound.pinned(git, "git://h/r").ref == String(repeating: "b", count: 40))
        #expect(try free.pinned(git, "any") == git)
    }
}
