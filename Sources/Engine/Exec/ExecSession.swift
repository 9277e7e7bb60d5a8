import Blocking
import DockerAPI
import FoundationEssentials
import Linux
import Logging
import NIOCore
import OCI
import Synchronization
import SystemPackage

/// A further process in a running container (`docker exec`), with a supervisor of its own: it outlives the engine as its
/// container does.
actor ExecSession {
    enum Phase: Sendable {
        case created
        case starting
        case running(RunningContainer)
        case ended(Int32)
    }

    /// What is kept beside the supervisor's files, for an engine that starts anew.
    struct Record: Codable, Sendable {
        let id: String
        let containerID: String
        let config: ExecConfig
    }

    nonisolated let record: Record
    private let attributes: [String: String]
    nonisolated var id: String { record.id }
    private let context: EngineContext
    nonisolated let directory: FilePath
    /// The container's directory, for its supervisor's state.
    private let containerDirectory: FilePath
    private(set) var phase = Phase.created {
        didSet {
            guard case .ended(let code) = phase else { return running.store(true, ordering: .relaxed) }
            running.store(false, ordering: .relaxed)
            for waiter in endWaiters { waiter.resume(returning: code) }
            endWaiters = []
        }
    }
    private var endWaiters: [CheckedContinuation<Int32, Never>] = []
    /// A copy for those who only list sessions.
    private let running = Atomic(true)
    private var isToBeKilled = false
    /// When the process ended; its code is kept for a while.
    private(set) var endedAt: Timestamp?
    nonisolated let createdAt = Timestamp.now().seconds
    /// Nobody has started it yet.
    var isWaiting: Bool { if case .created = phase { true } else { false } }
    nonisolated var isRunning: Bool { running.load(ordering: .relaxed) }

    /// - Parameter attributes: those that events about the container have
    init(record: Record, attributes: [String: String], context: EngineContext, paths: ContainerPaths) {
        self.record = record
        self.attributes = attributes
        self.context = context
        directory = paths.exec(record.id)
        containerDirectory = paths.runtime
    }

    var isTerminal: Bool { record.config.Tty == true }

    /// The process cannot even be described, for instance since its user does not exist. The client has its answer
    /// already, and learns of the failure by the exit code.
    func refuse() {
        if case .created = phase { phase = .ended(126) }
        endedAt = Timestamp.now()
    }

    /// Starts the process and joins the client with it; without a client it runs detached.
    func start(_ process: RuntimeSpec.Process, container: RunningContainer, client: (any ClientStream)?) async throws {
        guard case .created = phase else {
            throw EngineError(.conflict, "exec session \(id) has already run")
        }
        phase = .starting
        do {
            let (launched, attached) = try await launch(process, container, attach: client != nil)
            let running = RunningContainer(
                pid: launched.pid, supervisor: launched.supervisor, supervisorPID: launched.supervisorPID)
            phase = .running(running)
            watch(running)
            if isToBeKilled { await kill() }
            guard let client, let attached else { return }
            try await join(client, attached)
        } catch {
            guard case .starting = phase else { throw error }
            let failure = error as? StartFailure
            phase = .ended(failure?.exitCode ?? 126)
            endedAt = Timestamp.now()
            await removeFiles()
            throw failure.map { EngineError(.invalidArgument, "OCI runtime exec failed: exec failed: \($0.message)") } ?? error
        }
    }

    private func launch(_ process: RuntimeSpec.Process, _ container: RunningContainer, attach: Bool) async throws
        -> (SupervisorLaunch.Launched, SupervisorConnection?)
    {
        let directory = directory
        let record = record
        try await blocking {
            try makeDirectories(directory)
            try writeAtomically(process.json().serialized(), to: directory.appending("config.json"), sync: false)
            try writeAtomically(
                [UInt8](JSONEncoder().encode(record)), to: directory.appending("session.json"), sync: false)
        }
        var arguments = [
            "--exec", "--id", id, "--container-pid", "\(container.pid)", "--container-dir", containerDirectory.string,
        ]
        if record.config.AttachStdin == true { arguments.append("--stdin") }
        let launched = try await SupervisorLaunch(context: context).run(directory: directory, arguments: arguments, root: nil)
        do {
            let attached =
                attach
                ? try await Container.openAttach(
                    directory: directory, flags: flags, group: context.eventLoops) : nil
            try await launched.supervisor.send(.start)
            try await launched.supervisor.awaitStarted()
            return (launched, attached)
        } catch {
            let error = await launched.supervisor.failure(behind: error)
            launched.supervisor.close()
            await context.reaper.add(launched.supervisorPID)
            throw error
        }
    }

    private var flags: UInt8 {
        let config = record.config
        return (config.AttachStdout == true ? 1 : 0) | (config.AttachStderr == true ? 2 : 0)
            | (config.AttachStdin == true ? 4 : 0)
    }

    private func join(_ client: any ClientStream, _ supervisor: SupervisorConnection) async throws {
        let session = AttachSession(
            client: client, supervisor: supervisor, terminal: isTerminal, stdin: record.config.AttachStdin == true,
            closesStdin: !isTerminal, detachKeys: try DetachKeys(record.config.DetachKeys))
        let outcome = try await session.run()
        supervisor.close()
        switch outcome {
        case .detached:
            publish("exec_detach")
        case .ended:
            // The end is told on two connections. Whoever sees the end of the stream asks for the exit code next.
            _ = await waitForEnd()
        }
    }

    /// The exit code, once the process has ended.
    func waitForEnd() async -> Int32 {
        if case .ended(let code) = phase { return code }
        return await withCheckedContinuation { endWaiters.append($0) }
    }

    /// Kills the process, as soon as it runs.
    func kill() async {
        isToBeKilled = true
        guard case .running(let running) = phase else { return }
        // A process that has ended meanwhile has nobody left who could hear of it.
        try? await running.supervisor.send(.signal, ByteBuffer(integer: UInt32(bitPattern: Signal.kill.rawValue)))
    }

    private func watch(_ running: RunningContainer) {
        Task { [directory, reaper = context.reaper] in
            var exit: ExitRecord?
            do {
                exit = try await running.supervisor.awaitExit()
            } catch {
                self.context.logger.warning("lost the supervisor of an exec session", metadata: ["error": "\(error)"])
            }
            await self.ended(exit ?? ExitRecord.read(directory))
            running.supervisor.close()
            if let pid = running.supervisorPID { await reaper.add(pid) }
        }
    }

    private func publish(_ action: String, _ more: [String: String] = [:]) {
        let own = more.merging(["execID": id]) { $1 }
        context.events.publish("container", action, id: record.containerID, attributes: attributes.merging(own) { $1 })
    }

    private func ended(_ exit: ExitRecord?) async {
        let code = exit?.exitCode ?? 137
        endedAt = Timestamp(rfc3339: exit?.finishedAt ?? "") ?? Timestamp.now()
        phase = .ended(code)
        publish("exec_die", ["exitCode": "\(code)"])
        await removeWhatOnlyLifeNeeds()
    }

    /// What is left tells the next engine the exit code.
    private func removeWhatOnlyLifeNeeds() async {
        let directory = directory
        do {
            try await blocking {
                let place = try OwnedFD.open(directory, [.readOnly, .directory])
                for name in try namesInDirectory(place) where !["session.json", "exit.json"].contains(name.description) {
                    try removeTree(in: place, name)
                }
            }
        } catch {
            context.logger.debug("an exec session's files are gone with its container", metadata: ["error": "\(error)"])
        }
    }

    func removeFiles() async {
        let directory = directory
        do {
            try await blocking { try removeTree(directory) }
        } catch {
            context.logger.warning("could not remove an exec session's directory", metadata: ["error": "\(error)"])
        }
    }

    func resize(rows: UInt16, columns: UInt16) async throws {
        guard case .running(let running) = phase else {
            throw EngineError(.conflict, "exec process is not started")
        }
        var payload = ByteBuffer(integer: rows)
        payload.writeInteger(columns)
        try await running.supervisor.send(.resize, payload)
    }

    func inspect() -> ExecInspectResponse {
        var response = ExecInspectResponse()
        response.ID = id
        response.ContainerID = record.containerID
        response.OpenStdin = record.config.AttachStdin ?? false
        response.OpenStdout = record.config.AttachStdout ?? false
        response.OpenStderr = record.config.AttachStderr ?? false
        response.DetachKeys = record.config.DetachKeys ?? ""
        response.CanRemove = false
        response.Running = false
        response.Pid = 0
        if case .running(let running) = phase {
            response.Running = true
            response.Pid = Int(running.pid)
        }
        if case .ended(let code) = phase { response.ExitCode = Int(code) }
        var process = ProcessConfig()
        let command = record.config.Cmd?.values ?? []
        process.entrypoint = command.first ?? ""
        process.arguments = Array(command.dropFirst())
        process.tty = isTerminal
        process.privileged = record.config.Privileged ?? false
        process.user = record.config.User ?? ""
        response.ProcessConfig = process
        return response
    }

    /// After a restart of the engine: takes the session up again, or reads how it ended. False for one that never began.
    func restore() async -> Bool {
        var exit: ExitRecord?
        do {
            let connection = try await SupervisorConnection.connect(to: directory, group: context.eventLoops)
            switch try await connection.presentState() {
            case .running:
                let pid: Int32
                do {
                    pid = try SupervisorState.read(directory).pid
                } catch {
                    connection.close()
                    throw error
                }
                let running = RunningContainer(pid: pid, supervisor: connection, supervisorPID: nil)
                phase = .running(running)
                watch(running)
                return true
            case .ended(let told):
                exit = told
                connection.close()
            }
        } catch {
            context.logger.debug("an exec session has ended", metadata: ["exec": "\(id)", "reason": "\(error)"])
        }
        exit = exit ?? ExitRecord.read(directory)
        let hasRun = SupervisorState.hasRun(directory)
        if let exit, !hasRun {
            // Its end was told by an earlier engine, which has removed the other files.
            endedAt = Timestamp(rfc3339: exit.finishedAt ?? "") ?? Timestamp.now()
            phase = .ended(exit.exitCode)
            return true
        }
        if exit != nil || hasRun { await ended(exit) } else { await removeFiles() }
        return exit != nil || hasRun
    }
}
