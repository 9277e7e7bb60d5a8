import DockerAPI
import Linux
import NIOCore
import SystemPackage

extension Container {
    var isTerminal: Bool { record.config.Tty == true }

    /// `docker attach`, first half, before the client hears that it is attached: `docker run` starts the container right
    /// after that, and must not overtake it.
    func beginAttach(_ options: AttachOptions) async throws -> AttachTicket {
        let keys = try DetachKeys(options.detachKeys)
        if phase.isPaused {
            throw EngineError(.conflict, "container \(id) is paused, unpause the container before attach")
        }
        guard options.stream else { return AttachTicket(options: options, detachKeys: keys, connection: nil, pending: nil) }
        if phase.process != nil {
            let connection = try await openAttach(flags: options.flags)
            return AttachTicket(options: options, detachKeys: keys, connection: connection, pending: nil)
        }
        let number = nextWaiter
        nextWaiter += 1
        let (pending, continuation) = AsyncStream.makeStream(of: SupervisorConnection.self)
        pendingAttaches[number] = PendingAttach(flags: options.flags, continuation: continuation)
        continuation.onTermination = { [weak self] _ in
            Task { await self?.giveUpAttach(number) }
        }
        return AttachTicket(options: options, detachKeys: keys, connection: nil, pending: pending)
    }

    /// Second half: joins the client with the container until either ends. A container that does not run yet is waited for.
    func attach(_ ticket: AttachTicket, client: any ClientStream) async throws {
        if ticket.options.logs { try await replayLog(ticket.options, client) }
        guard let supervisor = await ticket.supervisor() else { return }
        publish("attach")
        let session = AttachSession(
            client: client, supervisor: supervisor, terminal: isTerminal,
            stdin: ticket.options.stdin && record.config.OpenStdin == true,
            closesStdin: record.config.StdinOnce == true && !isTerminal, detachKeys: ticket.detachKeys)
        let outcome = try await session.run()
        supervisor.close()
        if case .detached = outcome { publish("detach") }
    }

    private func giveUpAttach(_ number: Int) {
        pendingAttaches[number] = nil
    }

    /// Connects everybody who attached before the start, between the process's making and its first instruction.
    func connectPendingAttaches() async throws {
        while let (number, attach) = pendingAttaches.first {
            pendingAttaches[number] = nil
            defer { attach.continuation.finish() }
            attach.continuation.yield(try await openAttach(flags: attach.flags))
        }
    }

    /// Tells everybody who waits for the start that it does not come.
    func endPendingAttaches() {
        for (_, attach) in pendingAttaches { attach.continuation.finish() }
        pendingAttaches = [:]
    }

    private func openAttach(flags: UInt8) async throws -> SupervisorConnection {
        try await Self.openAttach(directory: paths.runtime, flags: flags, group: context.eventLoops)
    }

    static func openAttach(directory: FilePath, flags: UInt8, group: any EventLoopGroup) async throws -> SupervisorConnection {
        let connection = try await SupervisorConnection.connect(to: directory, group: group)
        try await connection.send(.attach, ByteBuffer(integer: flags))
        guard let answer = try await connection.next(), answer.kind == .attached else {
            connection.close()
            throw EngineError(.internalError, "the supervisor refused to attach")
        }
        return connection
    }

    /// `docker resize`.
    func resize(rows: UInt16, columns: UInt16) async throws {
        let process = try runningProcess()
        var payload = ByteBuffer(integer: rows)
        payload.writeInteger(columns)
        try await process.supervisor.send(.resize, payload)
        publish("resize", ["height": "\(rows)", "width": "\(columns)"])
    }

    private func replayLog(_ options: AttachOptions, _ client: any ClientStream) async throws {
        var query = LogQuery()
        query.stdout = options.stdout
        query.stderr = options.stderr
        let reader = LogReader(path: paths.log, query: query, logger: logger)
        let terminal = isTerminal
        try await reader.run(isLive: { false }) { entry in
            try await client.write(entry.encoded(terminal: terminal, timestamps: false))
        }
    }
}

/// A client's claim on the streams of a container.
struct AttachTicket: Sendable {
    let options: AttachOptions
    let detachKeys: DetachKeys
    fileprivate let connection: SupervisorConnection?
    fileprivate let pending: AsyncStream<SupervisorConnection>?

    fileprivate init(
        options: AttachOptions, detachKeys: DetachKeys, connection: SupervisorConnection?, pending: AsyncStream<SupervisorConnection>?
    ) {
        self.options = options
        self.detachKeys = detachKeys
        self.connection = connection
        self.pending = pending
    }

    /// Waits for the start where there was none yet; nil when there is nothing to attach to.
    fileprivate func supervisor() async -> SupervisorConnection? {
        if let connection { return connection }
        guard let pending else { return nil }
        for await connection in pending { return connection }
        return nil
    }
}
