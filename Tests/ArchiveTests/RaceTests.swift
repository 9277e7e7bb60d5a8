import Archive
import Linux
import Synchronization
import SystemPackage
import Testing

/// Somebody works in the directory while an archive is unpacked into it.
@Suite struct RaceTests {
    @Test("nothing lands outside while directories and links out are exchanged at full speed", .timeLimit(.minutes(3)))
    func exchangedDirectories() throws {
        try withFolder { path in
            let (root, outside) = (path.appending("root"), path.appending("outside"))
            try makeDirectories(root.appending("a/b"), mode: 0o755)
            try makeDirectories(outside.appending("b"), mode: 0o751)
            let place = try OwnedFD.open(root, [.readOnly, .directory])
            try symlinkat(Array(outside.string.utf8), place, FileName("out"))
            let before = try canary(outside)

            let racer = try Racer(in: root, FileName("a"), FileName("out"))
            let archive = try tar(
                (0..<200).flatMap { index in
                    [
                        folder("a/b", mode: 0o777), file("a/b/f\(index)", mode: 0o4777, "x"), link("a/b/s\(index)", to: "/etc/passwd"),
                        link("a/b/h\(index)", to: "a/b/f\(index)", hard: true), folder("a/b/d\(index)", mode: 0o777),
                    ]
                })
            for _ in 0..<15 {
                // It may fail, since links do not lead anywhere inside; it must not succeed in the wrong place.
                _ = try? unpack(archive, to: root)
            }
            racer.stop()
            #expect(racer.count > 100)
            #expect(try canary(outside) == before)
        }
    }

    /// What is in the directory and below, with modes, owners and times.
    private func canary(_ path: FilePath) throws -> [FileMetadata?] {
        let inner = try OwnedFD.open(path.appending("b"), [.readOnly, .directory])
        #expect(try namesInDirectory(inner).isEmpty)
        return [try lstatIfExists(path), try lstatIfExists(path.appending("b"))]
    }
}

/// A thread that exchanges two names until it is stopped.
private final class Racer: Sendable {
    private struct State {
        var isStopped = false
        var count = 0
    }

    private let state = Mutex(State())
    private let ended = BoundedQueue<Int>(capacity: 1)

    var count: Int { state.withLock { $0.count } }

    init(in directory: FilePath, _ one: FileName, _ other: FileName) throws {
        try startThread { [self] in
            // Without the directory there is no race, and the count tells.
            if let opened = try? OwnedFD.open(directory, [.readOnly, .directory]) { run(opened, one, other) }
            ended.finish()
        }
    }

    private func run(_ directory: borrowing OwnedFD, _ one: FileName, _ other: FileName) {
        while !state.withLock({ $0.isStopped }) {
            // One of both may be missing for a moment, while the archive replaces it.
            let isDone = (try? renameat(directory, one, to: directory, other, exchange: true)) != nil
            if isDone { state.withLock { $0.count += 1 } }
        }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        _ = ended.take()
    }
}
