import Blocking
import DockerAPI
import FoundationEssentials
import Linux
import Logging
import NIOCore
import Networking
import OCI
import SystemPackage

extension Container {
    /// `docker start`: root filesystem, network, process, in that order; undone in reverse when a step fails.
    func start(isRestart: Bool = false) async throws {
        try phase.beginStart()  // Before the first await: a second start fails here, it does not wait in line.
        if !isRestart {
            cancelRestart()
            record.state.restartCount = 0
        }
        defer {
            for waiter in startWaiters { waiter.resume() }
            startWaiters = []
        }
        record.state.stoppedByUser = false
        var undo = UndoStack()
        do {
            let process = try await launch(&undo)
            phase = .running(process)
            record.state.status = .running
            record.state.pid = process.pid
            record.state.startedAt = Timestamp.now().description
            record.state.exitCode = 0
            record.state.error = ""
            record.state.oomKilled = false
            record.state.endedUnhealthy = nil
            record.state.cause = nil
            lastSignal = nil
            watch(process)
            startHealthMonitor(isNewLife: true)
            publishNetworks("connect", record.endpoints)
            publishVolumes("mount")
            publish("start")
            await saveOrReport()
        } catch {
            await undo.run(logger)
            await startFailed(error)
            throw Self.describe(error)
        }
    }

    /// Waits while a start is under way.
    func startSettled() async {
        guard case .starting = phase else { return }
        await withCheckedContinuation { startWaiters.append($0) }
    }

    private func launch(_ undo: inout UndoStack) async throws -> RunningContainer {
        let context = context
        let directory = paths.runtime
        _ = await mountsWork?.result  // Its failure was its caller's.
        // What a crash may have left under this name.
        try await blocking {
            try removeTree(directory)
            try makeDirectories(directory)
        }
        undo.add("remove \(directory)") { try await blocking { try removeTree(directory) } }
        undo.add("close the socket of the API") { await self.closeAPISocket() }
        try await openAPISocket()
        undo.add("release the volumes") { [volumes, id, logger] in await volumes.release(by: id, logger) }
        for mount in record.mounts where mount.kind == .volume { try await volumes.use(mount.name, by: id) }
        async let made = MadeMounts.make(record.mounts, images: context.images)
        async let mounted = mountRoot()
        try await reserveNetworks(&undo)
        let root = try await mounted
        let mounts = try await made
        try await writeConfiguration(root, mounts.places)

        let launcher = SupervisorLaunch(context: context)
        let arguments = try await supervisorArguments()
        let launched = try await launcher.run(directory: directory, arguments: arguments, root: root, mounts: mounts.all.map(\.mount))
        // The supervisor ends the waiting process when this connection closes before START.
        undo.add("end the supervisor") { [reaper = context.reaper] in
            launched.supervisor.close()
            await reaper.add(launched.supervisorPID)
        }
        do {
            try await connectNetworks(pid: launched.pid)
            try await connectPendingAttaches()
            try await launched.supervisor.send(.start)
            try await launched.supervisor.awaitStarted()
        } catch {
            throw await launched.supervisor.failure(behind: error)
        }
        return RunningContainer(
            pid: launched.pid, supervisor: launched.supervisor, supervisorPID: launched.supervisorPID)
    }

    /// For the supervisor alone: variables may be secrets.
    private func write(_ text: String, _ name: String) async throws {
        let path = paths.runtime.appending(name)
        try await blocking { try writeAtomically(Array(text.utf8), to: path, sync: false) }
    }

    private func supervisorArguments() async throws -> [String] {
        var arguments = ["--id", id]
        let log = try LogOptions(record.hostConfig.LogConfig)
        if log.driver != .none {
            arguments += ["--log", paths.log.string, "--log-size", "\(log.maxBytes)", "--log-files", "\(log.maxFiles)"]
            if log.compresses { arguments.append("--log-pack") }
            if let buffer = log.buffer { arguments += ["--log-buffer", "\(buffer)"] }
            if let attributes = try log.attributes.json(of: record) {
                try await write(attributes, "log-attributes.json")
                arguments.append("--log-attributes")
            }
            if log.driver == .journald {
                let socket = context.paths.journal
                guard try lstatIfExists(socket) != nil else {
                    throw EngineError(.internalError, "failed to initialize logging driver: journald is not enabled on this host")
                }
                try await write(try log.attributes.journalFields(of: record), "journal.json")
                arguments += ["--journal", socket.string]
            }
        }
        if record.config.OpenStdin == true { arguments.append("--stdin") }
        if record.config.StdinOnce == true { arguments.append("--stdin-once") }
        return arguments
    }

    /// The files that are bound into the container, and its config.json.
    private func writeConfiguration(_ root: SharedFD, _ made: [String: MadeMounts.Place]) async throws {
        let joined = try await joinedNamespaces()
        let record = record
        let paths = paths
        let context = context
        let shared = try await sharedNetwork()?.paths
        let devices = CDIDevices(directories: context.paths.cdiDirectories, logger: logger)
        try await blocking {
            try NetworkFiles(record: record, paths: paths, shared: shared).write()
            let identity = try root.withOwned { root in
                try UserLookup(root: root).identity(
                    record.config.User ?? "", additionalGroups: record.hostConfig.GroupAdd ?? [])
            }
            let spec = try ContainerSpec(
                record: record, paths: paths, host: context.host, identity: identity, joined: joined,
                runtime: context.paths.runtime, made: made, devices: try devices.edits(for: record.hostConfig.DeviceRequests ?? []) ?? []
            ).make()
            try writeAtomically(spec.json().serialized(), to: paths.runtime.appending("config.json"), sync: false)
        }
    }

    /// The container whose network this one joins.
    private func sharedNetwork() async throws -> Container? {
        guard let mode = record.hostConfig.NetworkMode, mode.hasPrefix("container:") else { return nil }
        return try await registry.find(String(mode.dropFirst(10)))
    }

    /// `--network container:ID` and the like: the namespaces of a running container.
    private func joinedNamespaces() async throws -> [RuntimeSpec.Namespace.Kind: String] {
        let host = record.hostConfig
        var joined: [RuntimeSpec.Namespace.Kind: String] = [:]
        for (kind, file, mode) in [
            (RuntimeSpec.Namespace.Kind.network, "net", host.NetworkMode), (.pid, "pid", host.PidMode), (.ipc, "ipc", host.IpcMode),
        ] {
            guard let mode, mode.hasPrefix("container:") else { continue }
            let other = try await registry.find(String(mode.dropFirst(10)))
            let process = try await other.runningProcess()
            joined[kind] = "/proc/\(process.pid)/ns/\(file)"
        }
        return joined
    }

    private func startFailed(_ error: any Error) async {
        phase = .exited
        record.endpoints = []
        record.state.status = record.state.startedAt == SavedState.never ? .created : .exited
        record.state.pid = 0
        record.state.exitCode = (error as? StartFailure)?.exitCode ?? 128
        record.state.error = Self.describe(error).message
        record.state.cause = ExitCause(reason: .notStarted, message: record.state.error)
        if record.state.status == .created { phase = .created }
        endPendingAttaches()
        if !isRestarting { resumeWaiters(for: [.notRunning]) }
        await saveOrReport()
        if record.hostConfig.AutoRemove == true {
            do {
                try await remove(force: false, removeVolumes: true)
            } catch {
                logger.error("could not remove the container", metadata: ["error": "\(error)"])
            }
        }
    }

    private static func describe(_ error: any Error) -> EngineError {
        guard let failure = error as? StartFailure else { return EngineError.wrapping(error) }
        return EngineError(
            failure.exitCode == 128 ? .internalError : .invalidArgument,
            "failed to create task for container: \(failure.message)")
    }
}
