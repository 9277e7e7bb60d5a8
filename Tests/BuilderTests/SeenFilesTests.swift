import FoundationEssentials
import Linux
import SystemPackage
import Testing

@testable import Builder

@Suite("A context that others may write to")
struct SeenFilesTests {
    @Test("a file that is what it was has been changed all the same, or is another one")
    func changes() throws {
        let folder = FilePath(FileManager.default.temporaryDirectory.path).appending("skiff-seen-\(UInt64.random(in: 0 ... .max))")
        try makeDirectories(folder.appending("d"), mode: 0o755)
        defer {
            // Only the test's own folder; nothing depends on it any more.
            try? removeTree(folder)
        }
        func write(_ text: String) throws {
            try OwnedFD.open(folder.appending("d/f"), [.writeOnly, .create, .truncate], mode: 0o644).writeAll(Array(text.utf8))
        }
        for source in ["d", "d/f", "d/*"] {
            let root = OpenDirectory(try OwnedFD.open(folder, [.readOnly, .directory]))
            let tree = SourceTree(root: root, keepsOwners: false, isBorrowed: true)
            func look(_ change: () throws -> Void) throws -> (isSame: Bool, hasChanged: Bool?) {
                try write("A")
                let job = CopyJob(keyword: "COPY", sources: [source], destination: "/x/", tree: try tree.watched())
                let found = try job.find(StopSign())
                job.tree.seen?.complete()
                try change()
                return (try job.find(StopSign()).digest == found.digest, job.tree.seen?.hasChanged)
            }
            #expect(try look {} == (true, false))
            let back = try look {
                try write("B")
                try write("A")
            }
            #expect(back == (true, true), "\(source)")
            let other = try look {
                try writeAtomically(Array("A".utf8), to: folder.appending("d/f"), mode: 0o644, sync: false)
            }
            #expect(other == (true, true), "\(source)")
        }
    }

    @Test("of all steps that fail the first has a shell, and others wait for its end")
    func failures() async {
        let steps = FailedSteps()
        #expect(await steps.begin())
        async let second = steps.begin()
        async let third = steps.begin()
        await steps.end()
        let others = await [second, third, steps.begin()]
        #expect(others == [false, false, false])
    }
}
