import Blocking
import DockerAPI
import FoundationEssentials
import Linux
import Logging
import NIOCore
import Networking
import SystemPackage

/// What the supervisor wrote about the end of a process: `exit.json`.
struct ExitRecord: Codable, Sendable {
    var exitCode: Int32
    var signal: Int32?
    var oomKilled: Bool?
    /// Bytes, where the process did not end by itself.
    var memoryPeak: UInt64?
    var memoryLimit: UInt64?
    var startedAt: String?
    var finishedAt: String?

    /// The file of an earlier life, or nil when the supervisor never came to write it.
    static func read(_ directory: FilePath) -> ExitRecord? {
        // Missing or cut off both mean that nobody saw the process end.
        guard let file = try? OwnedFD.open(directory.appending("exit.json"), .readOnly),
            let bytes = try? file.readAll(limit: 64 << 10)
        else { return nil }
        return try? JSONDecoder().decode(ExitRecord.self, from: Data(bytes))  // As above.
    }
}

extension ExitRecord {
    init(_ frame: SupervisorFrame) throws {
        self = try JSONDecoder().decode(ExitRecord.self, from: Data(frame.payload.readableBytesView))
    }
}

extension SupervisorConnection {
    /// How the process ended, once it has; nil when the supervisor ends the connection without saying so.
    func awaitExit() async throws -> ExitRecord? {
        while let frame = try await next() {
            guard frame.kind == .exited else { continue }
            return try ExitRecord(frame)
        }
        return nil
    }
}

extension Container {
    /// Listens for the end of the process. The task belongs to the connection: it ends with it.
    func watch(_ process: RunningContainer) {
        Task { [directory = paths.runtime, reaper = context.reaper] in
            var exit: ExitRecord?
            do {
                exit = try await process.supervisor.awaitExit()
            } catch {
                self.logger.warning("lost the supervisor", metadata: ["error": "\(error)"])
            }
            await self.processEnded(exit ?? ExitRecord.read(directory))
            process.supervisor.close()
            if let pid = process.supervisorPID { await reaper.add(pid) }
        }
    }

    /// Undoes what the start made and tells everybody. `exit` nil: the supervisor died, and the kernel killed the
    /// container with it.
    func processEnded(_ exit: ExitRecord?) async {
        guard phase.process != nil else { return }
        await finish(exit)
        restartIfWanted()
    }

    /// The same for a process that ended while the engine was away; restarts come later, when all containers are known.
    func endedWhileAway(_ told: ExitRecord? = nil) async {
        let exit = told ?? ExitRecord.read(paths.runtime)
        let isMissed: Bool =
            switch record.state.status {
            case .running, .paused: true
            case .created: exit != nil || SupervisorState.hasRun(paths.runtime)
            // The row tells the end already: a new start was cut off, or the removal of the files of the last life.
            case .exited, .dead: exit != nil
            }
        if isMissed { await finish(exit) } else { await forgetCutOffStart() }
    }

    private func forgetCutOffStart() async {
        await context.networks.disconnect(containerID: id)
        record.endpoints = []
        await removeCgroup()
        await removeRuntimeDirectory()
        await volumes.release(by: id, logger)
    }

    /// When the engine starts: what `--rm` says of a container that does not run and will not.
    func removeAfterBoot() async {
        guard record.hostConfig.AutoRemove == true, !phase.isLive, !isRestarting else { return }
        if case .removed = phase { return }
        await removeAfterExit()
    }

    private func finish(_ exit: ExitRecord?) async {
        stopHealthMonitor()
        record.state.health?.end()
        await context.networks.disconnect(containerID: id)
        let endpoints = record.endpoints
        record.endpoints = []
        record.state.status = .exited
        record.state.pid = 0
        record.state.exitCode = exit?.exitCode ?? 137
        record.state.oomKilled = exit?.oomKilled ?? false
        record.state.error = exit == nil ? "the supervisor of the container was killed" : ""
        record.state.finishedAt = exit?.finishedAt ?? Timestamp.now().description
        // The supervisor's clock is asked at the end; we hear of the beginning later, and of a short life's too late.
        if let began = exit?.startedAt, isBefore(record.state.finishedAt, record.state.startedAt) { record.state.startedAt = began }
        let cause = await exitCause(exit)
        record.state.cause = cause
        logger.info("the container ended", metadata: ["exitCode": "\(record.state.exitCode)", "reason": "\(cause.message)"])
        if exit == nil { await removeCgroup() }
        let removing = record.hostConfig.AutoRemove == true && restartsByHand == 0
        if !removing {
            await saveOrReport()
            await removeRuntimeDirectory()
        }
        await volumes.release(by: id, logger)
        // Only now may a new start begin: nothing of this life is touched below.
        phase = .exited
        closeAPISocket()
        executions = executions.filter { $0.value.isRunning }
        if record.state.oomKilled { publish("oom") }
        let told = ["exitCode": "\(record.state.exitCode)", "execDuration": "\(runSeconds())"]
        publish("die", told.merging(cause.eventAttributes) { $1 })
        publishNetworks("disconnect", endpoints)
        publishVolumes("unmount")
        resumeWaiters(for: Self.wantsRestart(record) ? [.nextExit] : [.notRunning, .nextExit])
        if removing { await removeAfterExit() }
    }

    private func exitCause(_ exit: ExitRecord?) async -> ExitCause {
        let cgroup = ContainerSpec.cgroup(record.hostConfig, id)
        let last = lastSignal
        guard exit?.oomKilled == true else { return ExitCause(exit, lastSignal: last, outOfMemory: nil) }
        // Without the kernel's own words there is less to tell.
        let report = try? await blocking { try OutOfMemoryReport.find(cgroup: cgroup) }
        return ExitCause(exit, lastSignal: last, outOfMemory: report ?? nil)
    }

    private func isBefore(_ one: String, _ other: String) -> Bool {
        guard let one = Timestamp(rfc3339: one), let other = Timestamp(rfc3339: other) else { return false }
        return one < other
    }

    private func runSeconds() -> Int64 {
        guard let started = Timestamp(rfc3339: record.state.startedAt),
            let finished = Timestamp(rfc3339: record.state.finishedAt)
        else { return 0 }
        return max(0, finished.seconds - started.seconds)
    }

    private func removeAfterExit() async {
        // Nobody waits for the room on the disk, unless ends come faster than files go.
        let tellsFirst = context.lateRemovals.begin()
        defer { if tellsFirst { context.lateRemovals.end() } }
        do {
            try await remove(force: false, removeVolumes: true, tellsFirst: tellsFirst)
        } catch {
            logger.error("could not remove the container", metadata: ["error": "\(error)"])
        }
    }

    private func removeRuntimeDirectory() async {
        let directory = paths.runtime
        do {
            try await blocking { try removeTree(directory) }
        } catch {
            logger.warning("could not remove the runtime directory", metadata: ["error": "\(error)"])
        }
    }

    private func removeCgroup() async {
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        do {
            try await blocking {
                let cgroup = try Cgroup.open(path: path)
                try cgroup.killAll()
                try cgroup.remove()
            }
        } catch {
            logger.warning("could not remove the cgroup", metadata: ["error": "\(error)"])
        }
    }
}
