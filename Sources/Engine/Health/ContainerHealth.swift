import DockerAPI
import Linux
import Logging

/// The probes of a running container. Each is an exec session, so it has the container's limits and rights.
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
            await note(result, check)
        }
    }

    private var uptime: Duration {
        guard let started = Timestamp(rfc3339: record.state.startedAt) else { return .zero }
        return .nanoseconds(max(0, Timestamp.now().unixNanoseconds - started.unixNanoseconds))
    }

    private func note(_ result: HealthcheckResult, _ check: HealthCheck) async {
        guard var health = record.state.health else { return }
        let changed = health.record(result, retries: check.retries, inStartPeriod: uptime < check.startPeriod)
        record.state.health = health
        guard changed else { return }
        publish("health_status: \(health.status.rawValue)")
        await saveOrReport()
    }

    private func probe(_ check: HealthCheck) async -> HealthcheckResult {
        var result = HealthcheckResult()
        result.Start = Timestamp.now().description
        do {
            let output = ProbeOutput()
            let code = try await run(check, output)
            let excess = "Health check exceeded timeout (\(check.timeout.goText))"
            result.ExitCode = Int(code ?? -1)
            result.Output = code != nil ? output.text : output.text.isEmpty ? excess : "\(excess): \(output.text)"
        } catch {
            result.ExitCode = -1
            result.Output = EngineError.wrapping(error).message
        }
        result.End = Timestamp.now().description
        return result
    }

    /// The exit code, or nil when the time was over; then the probe has been killed.
    private func run(_ check: HealthCheck, _ output: ProbeOutput) async throws -> Int32? {
        var config = ExecConfig()
        config.Cmd = StrSlice(check.command)
        config.AttachStdout = true
        config.AttachStderr = true
        let session = try createExec(config)
        defer { executions[session.id] = nil }
        let isInTime = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await self.startExec(session, ExecStartConfig(), client: output)
                return true
            }
            group.addTask {
                try await Task.sleep(for: check.timeout)
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
