import DockerAPI
import Linux
import Logging

extension Container {
    /// After an exit: starts the container again when its policy says so.
    func restartIfWanted() {
        guard case .exited = phase, Self.wantsRestart(record) else { return }
        let started = Timestamp(rfc3339: record.state.startedAt)?.seconds ?? 0
        let finished = Timestamp(rfc3339: record.state.finishedAt)?.seconds ?? started
        let delay = restartDelay.delay(afterRunOf: finished - started)
        scheduledRestart = Task {
            // Cancelled by stop, start and rm.
            guard (try? await Task.sleep(for: delay)) != nil, !Task.isCancelled else { return }
            await self.restartNow()
        }
    }

    /// With the policy `on-unhealthy`: ends a container whose health check has failed, so that it is started again.
    func restartUnhealthy(pid: Int32) async {
        let policy = record.hostConfig.RestartPolicy
        guard policy?.Name == "on-unhealthy", let process = phase.process, process.pid == pid, !phase.isPaused,
            record.state.endedUnhealthy != true
        else { return }
        let limit = policy?.MaximumRetryCount ?? 0
        guard limit == 0 || record.state.restartCount < limit else { return }
        record.state.endedUnhealthy = true
        await saveOrReport()
        logger.info("restarting an unhealthy container")
        Task { await self.endUnhealthy(process) }
    }

    private func endUnhealthy(_ process: RunningContainer) async {
        do {
            let signal = record.config.StopSignal.flatMap { Signal($0) } ?? .terminate
            try await send(signal, to: process, because: .unhealthy)
            if try await waitForEnd(of: process, seconds: record.config.StopTimeout ?? 10) { return }
            try await send(.kill, to: process, because: .unhealthy)
        } catch {
            logger.warning("could not end an unhealthy container", metadata: ["error": "\(error)"])
        }
    }

    /// A policy is about to start the container again, or just does it.
    var isRestarting: Bool { scheduledRestart != nil && !record.state.stoppedByUser }

    private func restartNow() async {
        guard case .exited = phase, !record.state.stoppedByUser else { return }
        record.state.restartCount += 1
        do {
            try await start(isRestart: true)
            scheduledRestart = nil
        } catch {
            scheduledRestart = nil
            logger.warning("could not restart the container", metadata: ["error": "\(error)"])
            restartIfWanted()
            if !isRestarting { resumeWaiters(for: [.notRunning]) }
        }
    }

    /// Stop, start and rm take over from the policy.
    func cancelRestart() {
        // The task of a start that is under way is that start.
        if case .starting = phase {} else { scheduledRestart?.cancel() }
        scheduledRestart = nil
    }

    /// When the engine starts: containers whose policy wants them up.
    func restartAfterBoot() async {
        guard !phase.isLive, Self.wantsRestartAfterBoot(record) else { return }
        do {
            try await start()
        } catch {
            logger.warning("could not restart the container", metadata: ["error": "\(error)"])
            restartIfWanted()
        }
    }

    static func wantsRestart(_ record: ContainerRecord) -> Bool {
        guard !record.state.stoppedByUser else { return false }
        let policy = record.hostConfig.RestartPolicy
        switch policy?.Name ?? "no" {
        case "always", "unless-stopped": return true
        case "on-failure":
            let limit = policy?.MaximumRetryCount ?? 0
            return record.state.exitCode != 0 && (limit == 0 || record.state.restartCount < limit)
        case "on-unhealthy":
            let limit = policy?.MaximumRetryCount ?? 0
            let failed = record.state.exitCode != 0 || record.state.endedUnhealthy == true
            return failed && (limit == 0 || record.state.restartCount < limit)
        default: return false
        }
    }

    /// At the engine's start, for a container whose process ended meanwhile.
    static func wantsRestartAfterBoot(_ record: ContainerRecord) -> Bool {
        switch record.hostConfig.RestartPolicy?.Name ?? "no" {
        case "always": record.state.status != .created
        case "unless-stopped": record.state.status != .created && !record.state.stoppedByUser
        default: record.state.status != .created && wantsRestart(record)
        }
    }
}
