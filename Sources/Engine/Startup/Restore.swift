import Blocking
import FoundationEssentials
import Linux
import Logging
import NIOCore
import Networking
import Store
import SystemPackage

/// Brings an engine that starts together with what an earlier life left: running containers are taken up again, ended
/// ones get their exit code, and what no row names is removed. The host is believed, not the database.
struct Restore {
    let context: EngineContext
    let volumes: VolumeStore
    let registry: ContainerRegistry

    func run() async throws {
        var containers: [Container] = []
        for row in try await context.database.containers.all() {
            do {
                let record = try JSONDecoder().decode(Engine.ContainerRecord.self, from: Data(row.json))
                let container = Container(record: record, context: context, volumes: volumes, registry: registry)
                await registry.restore(container, id: record.id, name: record.name)
                containers.append(container)
            } catch {
                // Its files stay where they are: what cannot be read is not deleted.
                context.logger.error(
                    "a container cannot be read and is left alone", metadata: ["container": "\(row.id)", "error": "\(error)"])
            }
        }
        let known = Set(try await context.database.containers.all().map(\.id))
        await endBuildSteps()
        var running: Set<String> = []
        await withTaskGroup(of: String?.self) { group in
            for container in containers {
                group.addTask { await container.restore() ? container.id : nil }
            }
            for await id in group { if let id { running.insert(id) } }
        }
        await context.networks.reconcile(running: running)
        await restoreNetworks(of: containers.filter { running.contains($0.id) })
        await volumes.releaseUnused(context.logger)
        try await sweep(known)
        try await sweepVolumes()
        for container in containers {
            await container.restartAfterBoot()
            await container.removeAfterBoot()
        }
    }

    /// Each waits for the kernel mostly, which replaces rules in no hurry; all at once would be a thousand threads.
    private func restoreNetworks(of containers: [Container]) async {
        await withTaskGroup(of: Void.self) { group in
            for (number, container) in containers.enumerated() {
                if number >= Self.mostAtOnce { await group.next() }
                group.addTask { await container.restoreNetworks() }
            }
        }
    }

    private static let mostAtOnce = 32

    /// The steps of builds that a crash cut off: nobody waits for them any more.
    private func endBuildSteps() async {
        let place = context.paths.runtimeBuilds
        for name in await names(in: place) {
            let directory = place.appending(name)
            if let supervisor = try? await SupervisorConnection.connect(to: directory, group: context.eventLoops) {  // Gone already.
                // When this fails the supervisor is gone, and the command with it.
                try? await supervisor.send(.signal, ByteBuffer(integer: UInt32(Signal.kill.rawValue)))
                while let frame = try? await supervisor.next(), frame.kind != .exited {}  // Ends with the connection.
                supervisor.close()
            }
            await remove(directory)
        }
    }

    private func sweep(_ known: Set<String>) async throws {
        await finishVolumes(known)
        for place in [context.paths.containers, context.paths.runtimeContainers] {
            for name in await names(in: place) where !known.contains(name) {
                context.logger.info("removing the rest of a container", metadata: ["path": "\(place.appending(name))"])
                await remove(place.appending(name))
            }
        }
    }

    /// Anonymous volumes that were being made or removed with a container or a mount of one.
    private func finishVolumes(_ known: Set<String>) async {
        for id in await names(in: context.paths.containers) {
            let notes = NotedVolumes(in: context.paths.container(id).data)
            do {
                let names = try await blocking { try notes.names() }
                for name in await registry.unused(names, of: volumes) { try await volumes.remove(name) }
                if known.contains(id) { try await blocking { try notes.forget() } }
            } catch {
                context.logger.warning("could not remove the volumes of a container", metadata: ["container": "\(id)", "error": "\(error)"])
            }
        }
    }

    private func sweepVolumes() async throws {
        for name in await names(in: context.paths.volumes) where await !volumes.exists(name) {
            context.logger.info("removing the rest of a volume", metadata: ["volume": "\(name)"])
            await detachMounts(below: context.paths.volumes.appending(name))
            await remove(context.paths.volumes.appending(name))
        }
    }

    /// What is mounted there is not to be emptied with it.
    private func detachMounts(below path: FilePath) async {
        do {
            try await blocking { try MountNamespace.detachAll(below: path) }
        } catch {
            context.logger.warning("could not unmount", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    private func names(in place: FilePath) async -> [String] {
        // A missing directory has no entries; the rest is reported by those who use it.
        (try? await blocking {
            try namesInDirectory(try OwnedFD.open(place, [.readOnly, .directory])).map(\.description)
        }) ?? []
    }

    private func remove(_ path: FilePath) async {
        do {
            try await blocking { try removeTree(path) }
        } catch {
            context.logger.warning("could not remove", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }
}

extension Container {
    /// Takes up a process that an earlier life of the engine started. True when it still runs.
    func restore() async -> Bool {
        guard record.state.status == .running || record.state.status == .paused || hasRuntimeDirectory else { return false }
        let directory = paths.runtime
        do {
            let connection = try await SupervisorConnection.connect(to: directory, group: context.eventLoops)
            switch try await connection.presentState() {
            case .running: break
            case .ended(let exit):
                connection.close()
                await endedWhileAway(exit)
                return false
            }
            let state: SupervisorState
            do {
                state = try await blocking { try SupervisorState.read(directory) }
            } catch {
                connection.close()
                throw error
            }
            let process = RunningContainer(pid: state.pid, supervisor: connection, supervisorPID: nil)
            if record.state.status == .paused { phase = .paused(process) } else { phase = .running(process) }
            if record.state.status != .paused { record.state.status = .running }
            record.state.pid = state.pid
            if record.state.startedAt == SavedState.never { record.state.startedAt = Timestamp.now().description }
            for mount in record.mounts where mount.kind == .volume { try await volumes.use(mount.name, by: id) }
            watch(process)
            // Nobody waits for what a container puts in the way.
            mountsWork = Task {
                defer { mountsWork = nil }
                await renewAPISocket(process)
            }
            await restoreExecutions()
            startHealthMonitor(isNewLife: false)
            return true
        } catch {
            logger.info("a container ended while the engine was away", metadata: ["reason": "\(error)"])
            await endedWhileAway()
            return false
        }
    }

    private var hasRuntimeDirectory: Bool {
        (try? OwnedFD.open(paths.runtime, [.path, .directory])) != nil  // Absent is the usual answer.
    }

    private func restoreExecutions() async {
        let place = paths.executions
        let records: [ExecSession.Record]? = try? await blocking {  // None there: none to take up.
            try namesInDirectory(try OwnedFD.open(place, [.readOnly, .directory])).compactMap { name in
                let file = place.appending(name.description).appending("session.json")
                // A session whose start was cut off has no client any more; its files go with the container's.
                guard let bytes = try? OwnedFD.open(file, .readOnly).readAll(limit: 1 << 20) else { return nil }
                return try? JSONDecoder().decode(ExecSession.Record.self, from: Data(bytes))  // As above.
            }
        }
        for record in records ?? [] {
            let session = ExecSession(record: record, attributes: self.record.eventAttributes, context: context, paths: paths)
            executions[session.id] = session
            if await !session.restore() { executions[session.id] = nil }
        }
    }
}
