import Linux
import OCI
import SystemPackage

extension Supervisor {
    /// Takes note of every child that has ended: ours, and the orphans that came to us.
    func reapAll() throws {
        children?.clear()
        while let child = ChildSignals.reapNext() {
            if child.pid == pid && !hasEnded { try ended(child.end) }
        }
    }

    private func ended(_ end: ExitStatus) throws {
        hasEnded = true
        switch phase {
        case .waiting: fail(try lastWord() ?? LaunchError(message: "container process ended before it was started"))
        case .starting(let time):
            if let failure = try lastWord() { fail(failure) } else { finish(end, startedAt: time) }
        case .running(let time): finish(end, startedAt: time)
        case .leaving: break
        }
    }

    /// What a process that has ended had to say about its start; nil when its program began.
    private func lastWord() throws -> LaunchError? {
        while true {
            switch try launched?.nextStatus() {
            case .ready: continue
            case .failed(let error): return error
            case .started, nil: return nil
            }
        }
    }

    /// The order is the promise: all output passed on and logged, exit.json written, cgroup removed, and only then somebody
    /// is told.
    private func finish(_ end: ExitStatus, startedAt: Timestamp) {
        let finishedAt = Timestamp.now()
        if case .starting = phase {
            for connection in connections where connection.isSubscribed { connection.send(.started, []) }
        }
        do {
            try openCgroup()
            if !ownsProcesses && options.exec == nil { try cgroup?.killAll() }
        } catch {
            Self.report("the group of the container is out of reach: \(error)")
        }
        do { try drain() } catch { Self.report("output may be incomplete: \(error)") }
        log?.finish()
        let record = exitRecord(end, startedAt: startedAt, finishedAt: finishedAt)
        do { try write(record, to: "exit.json") } catch { Self.report("exit.json is not written: \(error)") }
        removeCgroup()
        verdict = (.exited, record)
        for connection in connections { connection.send(.exited, record) }
        leave()
    }

    /// Passes on what is in the pipes. Others may still write to them, the children of an exec session for instance; they
    /// are not waited for, nor listened to for longer than a pipe can be full.
    private func drain() throws {
        for source in sources where !source.hasEnded {
            var rest = Self.largestPipe
            while rest > 0 {
                let count = try pass(source)
                if count == 0 { break }
                rest -= count
            }
        }
    }

    private static let largestPipe = 1 << 20

    private func exitRecord(_ end: ExitStatus, startedAt: Timestamp, finishedAt: Timestamp) -> [UInt8] {
        let signal: Int32 = if case .signaled(let number) = end { number } else { 0 }
        let isOutOfMemory = wasOutOfMemory()
        var record: [(String, JSONValue)] = [
            ("exitCode", .int(Int64(end.code))), ("signal", .int(Int64(signal))), ("oomKilled", .bool(isOutOfMemory)),
            ("startedAt", .string(startedAt.description)), ("finishedAt", .string(finishedAt.description)),
        ]
        // Who looks why it died wants to know; others need not wait for it. What the kernel does not tell is left out.
        if isOutOfMemory || signal != 0, let memory = try? cgroup?.statistics().memory {
            record.append(("memoryPeak", .unsigned(memory.maximumUsage)))
            if let limit = memory.limit { record.append(("memoryLimit", .unsigned(limit))) }
        }
        return JSONValue.object(record).serialized()
    }

    private func wasOutOfMemory() -> Bool {
        do {
            return try (cgroup?.oomKillCount() ?? 0) > 0
        } catch {
            Self.report("oom kills are not known: \(error)")
            return false
        }
    }

    /// The process did not come to its program.
    func fail(_ error: any Error) {
        if case .leaving = phase { return }
        endProcess()
        removeCgroup()
        let failure = error as? LaunchError ?? LaunchError(message: "\(error)")
        verdict = (.failed, Frame.bigEndian(UInt32(bitPattern: failure.exitCode)) + Array(failure.message.utf8))
        for connection in connections where connection.isSubscribed { connection.send(.failed, verdict?.payload ?? []) }
        leave()
    }

    /// The engine went away before it had said START: nobody will ever want this process.
    func abandon() {
        endProcess()
        removeCgroup()
        connections = []
        leave()
    }

    private func endProcess() {
        guard pid > 0, !hasEnded else { return }
        hasEnded = true
        do {
            try send(.kill)
            _ = try reap(pid)
        } catch {
            Self.report("process \(pid) is not ended: \(error)")
        }
    }

    private func openCgroup() throws {
        guard let path = cgroupPath else { return }
        cgroupPath = nil
        cgroup = try Cgroup.open(path: path)
    }

    private func removeCgroup() {
        guard let cgroup else { return }
        self.cgroup = nil
        do {
            if !ownsProcesses { try cgroup.killAll() }
            // It may have been given further limits, with a place in further hierarchies.
            try Cgroup.open(path: cgroup.path).remove()
        } catch {
            Self.report("cgroup is not removed: \(error)")
        }
    }

    func send(_ signal: Signal) throws(SystemError) {
        if let process {
            try sendSignal(signal, to: process.fd)
        } else {
            try launched?.send(signal)
        }
    }

    /// From here on nobody new is let in; those who are there may take their data, for ten seconds at most.
    private func leave() {
        phase = .leaving
        input?.close()
        sources = []
        launched = nil
        process = nil
        do { try accept() } catch { Self.report("last connections are not accepted: \(error)") }
        listener = nil
        removeSocket()
        deadline = monotonicMilliseconds() + 10_000
    }

    /// Whether everything was told to everybody.
    func isFinished() -> Bool {
        guard case .leaving = phase, let deadline else { return false }
        let unfinished = connections.filter { !$0.finish() }
        return unfinished.isEmpty || monotonicMilliseconds() >= deadline
    }

    /// Closes the connections so that the other sides see an end and no reset: the kernel makes a reset of data that was
    /// sent to us and not read.
    func closeConnections() {
        for connection in connections where !connection.isLost {
            // A connection that is broken needs no proper end.
            try? connection.socket.shutdownBoth()
            while case .bytes? = try? connection.socket.readAvailable(into: readBuffer) {}
        }
        connections = []
    }
}

extension Launched {
    func send(_ signal: Signal) throws(SystemError) {
        try sendSignal(signal, to: pidfd)
    }
}
