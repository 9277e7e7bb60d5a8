import Builder
import DockerAPI
import NIOCore
import Synchronization

/// A shell where a step of a build has failed: the build waits, and its client comes on a connection of its own.
final class BuildShell: Sendable {
    /// A client at its terminal.
    struct Visitor: Sendable {
        let stream: any ClientStream
        let rows: UInt16
        let columns: UInt16
    }

    let id = makeID()
    private let (visitors, arrival) = AsyncStream.makeStream(of: Visitor.self)
    private let (end, ended) = AsyncStream.makeStream(of: Void.self)
    private let supervisor = Mutex<SupervisorConnection?>(nil)
    private let isTaken = Mutex(false)

    /// Waits for the client; a build that is cancelled waits no longer.
    /// - Returns: nil when nobody has come in time.
    func visitor(within limit: Duration) async throws -> Visitor? {
        try await withThrowingTaskGroup(of: Visitor?.self) { group in
            group.addTask { [visitors] in
                for await visitor in visitors { return visitor }
                throw CancellationError()
            }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    /// Nobody else comes in.
    func claim() throws(EngineError) {
        let wasTaken = isTaken.withLock { isTaken in
            defer { isTaken = true }
            return isTaken
        }
        if wasTaken { throw EngineError(.conflict, "somebody has come for the shell \(id) already") }
    }

    /// Brings the client in, and returns when the shell has ended.
    func join(_ visitor: Visitor) async {
        arrival.yield(visitor)
        for await _ in end {}
    }

    func runs(under supervisor: SupervisorConnection) {
        self.supervisor.withLock { $0 = supervisor }
    }

    func finish() {
        supervisor.withLock { $0 = nil }
        arrival.finish()
        ended.finish()
    }

    func resize(rows: UInt16, columns: UInt16) async throws {
        guard let supervisor = supervisor.withLock({ $0 }) else { throw EngineError(.conflict, "the shell does not run") }
        var payload = ByteBuffer(integer: rows)
        payload.writeInteger(columns)
        try await supervisor.send(.resize, payload)
    }
}

/// Those that wait for their client or run.
final class BuildShells: Sendable {
    private let open = Mutex<[String: BuildShell]>([:])

    func add(_ shell: BuildShell) { open.withLock { $0[shell.id] = shell } }

    func remove(_ shell: BuildShell) { open.withLock { $0[shell.id] = nil } }

    func find(_ id: String) throws(EngineError) -> BuildShell {
        guard let shell = open.withLock({ $0[id] }) else { throw EngineError(.notFound, "no such shell: \(id)") }
        return shell
    }
}

extension ContainerEngine {
    /// A client comes for its shell at once.
    private static let longestWait = Duration.seconds(60)

    /// Tells the client of a failure and waits until it has looked around. Nothing is held for it before it comes.
    func openShell(after failure: any Error, _ send: MessageSender, visit: BuildRequest.Visit) async throws {
        let shell = BuildShell()
        shells.add(shell)
        defer {
            shells.remove(shell)
            shell.finish()
        }
        var message = JSONMessage { $0.Shell = shell.id }
        message.status = "\(failure)\nA shell opens in the state before this step. The build ends with it."
        try await send(message)
        guard let visitor = try await shell.visitor(within: Self.longestWait) else { return }
        let runner = BuildStepRunner(context: context, registry: registry)
        do {
            try await visit { step in _ = try await runner.run(step, for: visitor, in: shell) }
        } catch let error as EngineError {
            var message = JSONMessage()
            message.status = "the shell could not be opened: \(error.message)"
            try await send(message)
        }
    }

    /// What joins a client with the shell of its build.
    public func joinBuildShell(_ id: String, rows: UInt16, columns: UInt16) throws -> @Sendable (any ClientStream) async -> Void {
        let shell = try shells.find(id)
        try shell.claim()
        return { await shell.join(BuildShell.Visitor(stream: $0, rows: rows, columns: columns)) }
    }

    public func resizeBuildShell(_ id: String, rows: UInt16, columns: UInt16) async throws {
        try await shells.find(id).resize(rows: rows, columns: columns)
    }
}
