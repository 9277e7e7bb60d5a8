import DockerAPI
import Linux
import NIOCore
import SystemPackage

extension Container {
    var isTerminal: Bool { record.config.Tty == true }

    /// `docker attach`. A container that does not run yet is waited for: `docker run` attaches before it starts.
    func attach(_ options: AttachOptions, client: any ClientStream) async throws {
        let keys = try DetachKeys(options.detachKeys)
        if options.logs { try await replayLog(options, client) }
        guard options.stream else { return }
        publish("attach")
        guard let supervisor = try await attachConnection(options) else { return }
        let session = AttachSession(
            client: client, supervisor: supervisor, terminal: isTerminal,
            stdin: options.stdin && record.config.OpenStdin == true,
            closesStdin: record.config.StdinOnce == true && !isTerminal, detachKeys: keys)
        let outcome = try await session.run()
        supervisor.close()
        if case .detached = outcome { publish("detach") }
    }

    private func attachConnection(_ options: AttachOptions) async throws -> SupervisorConnection? {
        if phase.process != nil { return try await openAttach(flags: options.flags) }
        let number = nextWaiter
        nextWaiter += 1
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: nil)
                } else {
                    pendingAttaches[number] = PendingAttach(flags: options.flags, continuation: continuation)
                }
            }
        } onCancel: {
            Task { await self.giveUpAttach(number) }
        }
    }

    private func giveUpAttach(_ number: Int) {
        pendingAttaches.removeValue(forKey: number)?.continuation.resume(returning: nil)
    }

    /// Connects everybody who attached before the start, between the process's making and its first instruction.
    func connectPendingAttaches() async throws {
        while let (number, attach) = pendingAttaches.first {
            pendingAttaches[number] = nil
            do {
                attach.continuation.resume(returning: try await openAttach(flags: attach.flags))
            } catch {
                attach.continuation.resume(returning: nil)
                throw error
            }
        }
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
        let reader = LogReader(path: paths.log, query: query)
        let terminal = isTerminal
        try await reader.run(isLive: { false }) { entry in
            try await client.write(entry.encoded(terminal: terminal, timestamps: false))
        }
    }
}
