import Blocking
import FoundationEssentials
import Linux
import SystemPackage

/// Starts the engine of this machine and waits until it answers.
struct EngineStart: Sendable {
    let environment: [String: String]

    private static let folder = "/run/skiff"
    private static let longest = Duration.seconds(30)

    func run() async throws {
        let program = try engine()
        try FileManager.default.createDirectory(
            atPath: Self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let log = try OwnedFD.open(FilePath("\(Self.folder)/skiffd.log"), [.writeOnly, .create, .append], mode: 0o600)
        let nothing = try OwnedFD.open("/dev/null", .readWrite)
        try await Self.wait(
            try started { writing in
                _ = try spawn(
                    program, arguments: ["--ready-fd", "3"], environment: environment.map { "\($0.key)=\($0.value)" },
                    descriptors: [nothing.raw, log.raw, log.raw, writing])
            })
    }

    /// The reading end of a pipe whose writing end only the engine holds, so that its end is seen too.
    private func started(_ start: (Int32) throws -> Void) throws -> SharedFD {
        let (reading, writing) = try makePipe()
        try start(writing.raw)
        return withExtendedLifetime(writing) { reading }
    }

    /// `skiffd` beside our own file, or what the environment names.
    private func engine() throws -> FilePath {
        if let named = environment["SKIFFD"], !named.isEmpty { return FilePath(named) }
        let beside = try CurrentProcess.executable().removingLastComponent().appending("skiffd")
        guard FileManager.default.fileExists(atPath: beside.string) else {
            throw CommandFailure(
                "Cannot connect to the Docker daemon at unix://\(EngineAccess.defaultSocket). Is the docker daemon running?")
        }
        return beside
    }

    /// Returns when the engine says that it is ready, and also when it has ended: another one may have been faster.
    private static func wait(_ ready: SharedFD) async throws {
        let reader = try StoppableReader(ready.raw)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                _ = try await reader.next(1)
                return true
            }
            group.addTask {
                try await Task.sleep(for: longest)
                return false
            }
            let answered = try await group.next() ?? false
            reader.stop()
            group.cancelAll()
            guard answered else {
                throw CommandFailure("the engine did not become ready within \(longest); see \(folder)/skiffd.log")
            }
        }
    }
}
