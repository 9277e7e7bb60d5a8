import Blocking
import DockerAPI
import Linux
import OCI
import SystemPackage

extension Container {
    /// `POST /containers/{id}/exec`: only checks and remembers.
    func createExec(_ config: ExecConfig, most: Int? = nil) async throws -> ExecSession {
        await forgetOldExecutions()
        if let most, executions.values.count(where: \.isRunning) >= most {
            throw EngineError(.conflict, "container \(id) has \(most) exec sessions already")
        }
        guard let command = config.Cmd?.values, let first = command.first, !first.isEmpty else {
            throw EngineError(.invalidArgument, "No exec command specified")
        }
        _ = try runningProcess()
        if phase.isPaused {
            throw EngineError(.conflict, "container \(id) is paused, unpause the container before exec")
        }
        let directory = config.WorkingDir ?? ""
        guard directory.isEmpty || directory.hasPrefix("/") else {
            throw EngineError(.invalidArgument, "the working directory '\(directory)' is invalid, it needs to be an absolute path")
        }
        _ = try DetachKeys(config.DetachKeys)
        let record = ExecSession.Record(id: makeID(), containerID: id, config: config)
        let session = ExecSession(record: record, attributes: self.record.eventAttributes, context: context, paths: paths)
        executions[session.id] = session
        publish("exec_create: \(command.joined(separator: " "))", ["execID": session.id])
        return session
    }

    /// Whoever wants an exit code has five minutes to ask for it, and less where there are hundreds a minute. Whoever made a
    /// session has five to start it.
    private func forgetOldExecutions() async {
        let now = Timestamp.now().seconds
        guard now > lastExecutionSweep else { return }
        lastExecutionSweep = now
        var ended: [(session: ExecSession, seconds: Int64)] = []
        for session in executions.values {
            if session.isRunning {
                if await session.isWaiting, now - session.createdAt > 300 { executions[session.id] = nil }
            } else if let time = await session.endedAt {
                ended.append((session, time.seconds))
            }
        }
        ended.sort { $0.seconds > $1.seconds }
        for (number, old) in ended.enumerated() where number >= 200 || now - old.seconds > 300 {
            executions[old.session.id] = nil
            await old.session.removeFiles()
        }
    }

    func startExec(_ session: ExecSession, _ start: ExecStartConfig, client: (any ClientStream)?) async throws {
        let process = try runningProcess()
        if phase.isPaused {
            throw EngineError(.conflict, "container \(id) is paused, unpause the container before exec")
        }
        let specification: RuntimeSpec.Process
        do {
            specification = try await execProcess(session.record.config, start, process)
        } catch {
            await session.refuse()
            throw error
        }
        publish("exec_start: \(session.record.config.Cmd?.values.joined(separator: " ") ?? "")", ["execID": session.id])
        try await session.start(specification, container: process, client: client)
    }

    /// The process as the container's own rules make it: its environment, capabilities and limits, its users.
    private func execProcess(_ config: ExecConfig, _ start: ExecStartConfig, _ running: RunningContainer) async throws
        -> RuntimeSpec.Process
    {
        let user = (config.User ?? "").isEmpty ? record.config.User ?? "" : config.User ?? ""
        let groups = record.hostConfig.GroupAdd ?? []
        let identity = try await blocking {
            try UserLookup(root: try ContainerRoot.open(pid: running.pid)).identity(user, additionalGroups: groups)
        }
        let privileged = config.Privileged == true || record.hostConfig.Privileged == true
        let capabilities = ContainerDefaults.capabilities(
            adding: record.hostConfig.CapAdd?.values ?? [], dropping: record.hostConfig.CapDrop?.values ?? [],
            privileged: privileged)
        let effective = identity.uid == 0 ? capabilities : []
        let terminal = config.Tty == true
        var environment = record.config
        environment.Env =
            (record.config.Env ?? []).filter { old in
                !(config.Env ?? []).contains { ImageDefaults.variableName($0) == ImageDefaults.variableName(old) }
            } + (config.Env ?? [])
        let directory = (config.WorkingDir ?? "").isEmpty ? record.config.WorkingDir ?? "" : config.WorkingDir ?? ""
        var process = RuntimeSpec.Process(
            terminal: terminal,
            user: RuntimeSpec.User(uid: identity.uid, gid: identity.gid, additionalGids: identity.groups),
            args: config.Cmd?.values ?? [], env: ContainerSpec.environment(environment, identity, tty: terminal),
            cwd: directory.isEmpty ? "/" : directory)
        process.capabilities = RuntimeSpec.Capabilities(
            bounding: capabilities, effective: effective, inheritable: [], permitted: effective, ambient: [])
        process.noNewPrivileges = try SecurityOptions(record.hostConfig.SecurityOpt ?? []).noNewPrivileges
        let size = start.ConsoleSize ?? config.ConsoleSize ?? []
        if terminal, size.count == 2, size[0] > 0, size[1] > 0 {
            process.consoleSize = RuntimeSpec.ConsoleSize(height: Int64(size[0]), width: Int64(size[1]))
        }
        return process
    }
}
