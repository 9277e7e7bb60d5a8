import Blocking
import DockerAPI
import Linux
import Logging

/// The probes of a running container. A command is an exec session, so it has the container's limits and rights; others
/// are made by the engine, in the container's network.
extension Container {
    /// Begins to probe, when the container is to be probed. `isNewLife`: nothing is known of its health yet.
    func startHealthMonitor(isNewLife: Bool) {
        stopHealthMonitor()
        let check: HealthCheck?
        do {
            check = try HealthCheck(record.config.Healthcheck, shell: record.config.Shell?.values)
        } catch {
            // `create` refuses such a check, so it is one of an earlier version.
            logger.warning("the health check is not run", metadata: ["error": "\(error)"])
            check = nil
        }
        guard let check else {
            record.state.health = nil
            return
        }
        if isNewLife || record.state.health == nil { record.state.health = HealthState() }
        let pid = record.state.pid
        healthMonitor = Task { await self.monitorHealth(check, pid: pid) }
    }

    func stopHealthMonitor() {
        healthMonitor?.cancel()
        healthMonitor = nil
    }

    private func monitorHealth(_ check: HealthCheck, pid: Int32) async {
        while let health = record.state.health {
            let pause = check.pause(status: health.status, uptime: uptime)
            // Cancelled when the container ends.
            guard (try? await Task.sleep(for: pause)) != nil, phase.process?.pid == pid else { return }
            if phase.isPaused { continue }
            let result = await probe(check)
            guard !Task.isCancelled, phase.process?.pid == pid else { return }
            await note(result, check, pid: pid)
        }
    }

    private var uptime: Duration {
        guard let started = Timestamp(rfc3339: record.state.startedAt) else { return .zero }
        return .nanoseconds(max(0, Timestamp.now().unixNanoseconds - started.unixNanoseconds))
    }

    private func note(_ result: HealthcheckResult, _ check: HealthCheck, pid: Int32) async {
        guard var health = record.state.health else { return }
        let changed = health.record(result, retries: check.retries, inStartPeriod: uptime < check.startPeriod)
        record.state.health = health
        if changed {
            publish("health_status: \(health.status.rawValue)")
            await saveOrReport()
        }
        // Not only at the change: it may have been paused then, or the engine have been replaced.
        if health.status == .unhealthy { await restartUnhealthy(pid: pid) }
    }

    private func probe(_ check: HealthCheck) async -> HealthcheckResult {
        var result = HealthcheckResult()
        result.Start = Timestamp.now().description
        do {
            switch check.kind {
            case .command(let command): try await run(command, check.timeout, &result)
            case .http(let probe): try await ask(probe.target, check.timeout, &result) { try probe.run(deadline: $0) }
            case .tcp(let target): try await ask(target, check.timeout, &result) { try target.connect(deadline: $0).description }
            }
        } catch {
            result.ExitCode = -1
            result.Output = EngineError.wrapping(error).message
        }
        result.End = Timestamp.now().description
        return result
    }

    private func run(_ command: [String], _ timeout: Duration, _ result: inout HealthcheckResult) async throws {
        let output = ProbeOutput()
        let code = try await run(command, timeout, output)
        let excess = "Health check exceeded timeout (\(timeout.goText))"
        result.ExitCode = Int(code ?? -1)
        result.Output = code != nil ? output.text : output.text.isEmpty ? excess : "\(excess): \(output.text)"
    }

    /// A probe by the engine, on a thread in the network of the container.
    private func ask(
        _ target: ProbeTarget, _ timeout: Duration, _ result: inout HealthcheckResult,
        _ probe: @escaping @Sendable (ContinuousClock.Instant) throws -> String
    ) async throws {
        let process = try runningProcess()
        do {
            let namespace = try await blocking { SharedFD(try NetworkNamespace.open(pid: process.pid)) }
            result.Output = try await onThrowawayThread {
                try NetworkNamespace.enter(namespace.raw)
                return try probe(.now + timeout)
            }
            result.ExitCode = 0
        } catch let error as ProbeFailure {
            result.ExitCode = 1
            result.Output = error.isOutOfTime ? "Health check exceeded timeout (\(timeout.goText))" : error.description
        }
    }

    /// The exit code, or nil when the time was over; then the probe has been killed.
    private func run(_ command: [String], _ timeout: Duration, _ output: ProbeOutput) async throws -> Int32? {
        var config = ExecConfig()
        config.Cmd = StrSlice(command)
        config.AttachStdout = true
        config.AttachStderr = true
        let session = try await createExec(config)
        defer { executions[session.id] = nil }
        let code: Int32?
        do {
            code = try await run(session, timeout, output)
        } catch {
            await session.removeFiles()
            throw error
        }
        await session.removeFiles()
        return code
    }

    private func run(_ session: ExecSession, _ timeout: Duration, _ output: ProbeOutput) async throws -> Int32? {
        let isInTime = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.startExec(session, ExecStartConfig(), client: output)
                return true
            }
            group.addTask {
                try await Task.sleep(for: timeout)
                await session.kill()
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        // Only now is a probe that took long to start a process that can be killed.
        if !isInTime { await session.kill() }
        let code = await session.waitForEnd()
        return isInTime ? code : nil
    }
}

extension Duration {
    /// As Go writes the durations that people give: `30s`, `1m30s`, `500ms`.
    var goText: String {
        let (seconds, attoseconds) = components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if seconds == 0 { return "\(milliseconds)ms" }
        let fraction = milliseconds == 0 ? "" : ".\(String(milliseconds + 1000).dropFirst())"
        let rest = "\(seconds % 60)\(fraction)s"
        if seconds < 60 { return rest }
        return seconds < 3600 ? "\(seconds / 60)m\(rest)" : "\(seconds / 3600)h\(seconds / 60 % 60)m\(rest)"
    }
}
