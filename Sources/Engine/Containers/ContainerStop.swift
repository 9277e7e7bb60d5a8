import Blocking
import DockerAPI
import Linux
import NIOCore

extension Container {
    /// `docker stop`: the stop signal, then after `timeout` seconds the end. Returns when the process is gone.
    func stop(signal: Signal?, timeout: Int?) async throws {
        await startSettled()
        guard phase.isLive else {
            let wasRestarting = isRestarting
            record.state.stoppedByUser = true
            cancelRestart()
            await saveOrReport()
            guard wasRestarting else { throw EngineError(.notModified, "") }
            resumeWaiters(for: [.notRunning])
            return
        }
        try await end(signal: signal, timeout: timeout)
        publish("stop")
    }

    /// `docker restart`: stops what runs, then starts.
    func restart(signal: Signal?, timeout: Int?) async throws {
        await startSettled()
        if phase.isLive {
            restartsByHand += 1
            defer { restartsByHand -= 1 }
            try await end(signal: signal, timeout: timeout)
        }
        try await start()
        publish("restart")
    }

    /// `docker kill`.
    func kill(_ signal: Signal) async throws {
        guard let process = phase.process else {
            throw EngineError(.conflict, "cannot kill container: \(record.name): container \(id) is not running")
        }
        if signal == .kill { record.state.stoppedByUser = true }
        try await send(signal, to: process, because: .kill)
        publish("kill", ["signal": "\(signal.rawValue)"])
        if signal == .kill { _ = try await waitForEnd(seconds: 10) }
    }

    private func end(signal: Signal?, timeout: Int?) async throws {
        record.state.stoppedByUser = true
        cancelRestart()
        let process = try runningProcess()
        let configured = record.config.StopSignal.flatMap { Signal($0) }
        let first = signal ?? configured ?? .terminate
        try await send(first, to: process, because: .stop)
        publish("kill", ["signal": "\(first.rawValue)"])
        if try await waitForEnd(seconds: timeout ?? record.config.StopTimeout ?? 10) { return }
        if let process = phase.process {
            try await send(.kill, to: process, because: .stop)
            publish("kill", ["signal": "9"])
        }
        guard try await waitForEnd(seconds: 10) else {
            throw EngineError(.internalError, "container \(shortID(id)) did not end after SIGKILL: a process of it hangs in the kernel")
        }
    }

    /// Goes by the supervisor, which is the parent: the pid cannot have become another process.
    func send(_ signal: Signal, to process: RunningContainer, because reason: ExitCause.Sender) async throws {
        if phase.process?.pid == process.pid { lastSignal = (signal, reason) }
        if phase.isPaused, signal == .kill { try await thaw() }
        do {
            try await process.supervisor.send(.signal, ByteBuffer(integer: UInt32(bitPattern: signal.rawValue)))
        } catch is ChannelError {
            return  // The process has just ended, which is on its way to be told.
        } catch is IOError {
            return  // As above.
        }
    }

    func pause() async throws {
        let before = phase
        do {
            _ = try phase.pause()
        } catch {
            throw EngineError(error.kind, "container \(id) \(error.message)")
        }
        do {
            let path = ContainerSpec.cgroup(record.hostConfig, id)
            try await blocking { try Cgroup.open(path: path).freeze() }
        } catch {
            // Unless the process ended meanwhile.
            if phase.isPaused { phase = before }
            throw error
        }
        guard phase.isPaused else { throw EngineError(.conflict, "container \(id) is not running") }
        record.state.status = .paused
        await saveOrReport()
        publish("pause")
    }

    func unpause() async throws {
        guard phase.isPaused else { throw EngineError(.conflict, "container \(id) is not paused") }
        try await thaw()
        await saveOrReport()
        publish("unpause")
    }

    private func thaw() async throws {
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        try await blocking { try Cgroup.open(path: path).thaw() }
        if phase.isPaused {
            _ = try phase.unpause()
            record.state.status = .running
        }
    }

    func rename(to requested: String) async throws {
        let name = try await registry.claimName(requested, for: id)
        let old = record.name
        record.name = name
        do {
            try await save()
        } catch {
            if record.name == name { record.name = old }
            await registry.releaseName(name, of: id)
            throw error
        }
        await registry.releaseName(old, of: id)
        await renameOnNetworks()
        publish("rename", ["oldName": "/\(old)"])
    }
}
