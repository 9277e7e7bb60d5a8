import Blocking
import DockerAPI
import FoundationEssentials
import Images
import Linux
import Logging
import NIOCore
import Networking
import OCI
import Store
import SystemPackage

/// One container: its record, what it is doing, and who waits for it. Everything that happens to it goes through here,
/// so two requests for the same container never cross, and no other container is kept waiting.
actor Container {
    nonisolated let id: String
    let context: EngineContext
    let volumes: VolumeStore
    let registry: ContainerRegistry
    nonisolated let paths: ContainerPaths

    var record: ContainerRecord {
        didSet { listed = nil }
    }
    var phase: ContainerPhase {
        didSet { listed = nil }
    }
    /// The row of a list, as far as only changes of the container change it.
    private var listed: ListedContainer?
    var waiters: [Int: Waiter] = [:]
    var nextWaiter = 0
    /// Clients that attached before the start; they get all output from its first byte.
    var pendingAttaches: [Int: PendingAttach] = [:]
    /// The restart that a policy has scheduled.
    var scheduledRestart: Task<Void, Never>? {
        didSet { listed = nil }
    }
    var lastUpdate: Task<[String], any Error>?
    /// The container's own socket of the API, while it runs.
    var apiListener: ScopedListener?
    /// A change of the mounts that is under way, which takes itself out at its end; a start and the next change wait for it.
    var mountsWork: Task<Void, any Error>?
    /// The last writing of the row: the next one comes after it, and so does the row's removal.
    private var lastSave: Task<Void, any Error>?
    var restartDelay = RestartBackOff()
    /// How many restarts by hand are under way: `--rm` means the end after them.
    var restartsByHand = 0
    /// The last signal that we have sent to the present process, and why.
    var lastSignal: (signal: Signal, reason: ExitCause.Sender)?
    /// Probes the running container.
    var healthMonitor: Task<Void, Never>?
    var executions: [String: ExecSession] = [:]
    /// The second in which ended ones were last looked through.
    var lastExecutionSweep: Int64 = 0
    /// Who waits for a start that is under way to end, either way.
    var startWaiters: [CheckedContinuation<Void, Never>] = []

    struct Waiter {
        let condition: WaitCondition
        let continuation: CheckedContinuation<WaitResult, any Error>
    }

    struct PendingAttach {
        let flags: UInt8
        let continuation: AsyncStream<SupervisorConnection>.Continuation
    }

    init(record: ContainerRecord, context: EngineContext, volumes: VolumeStore, registry: ContainerRegistry) {
        id = record.id
        self.record = record
        self.context = context
        self.volumes = volumes
        self.registry = registry
        paths = context.paths.container(record.id)
        phase = record.state.status == .created ? .created : .exited
    }

    var logger: Logger {
        var logger = context.logger
        logger[metadataKey: "container"] = "\(shortID(id))"
        return logger
    }

    /// Writes the row. The database decides about names as well: two rows never have the same.
    func save() async throws {
        switch phase {
        case .removing, .removed: throw EngineError(.conflict, "container \(id) is being removed")
        case .created, .starting, .running, .paused, .exited: break
        }
        let json = [UInt8](try JSONEncoder().encode(record))
        let before = lastSave
        let task = Task { [containers = context.database.containers, id, name = record.name, created = record.created] in
            _ = await before?.result  // Its failure was its caller's.
            try await containers.save(id: id, name: name, created: created, json: json)
        }
        lastSave = task
        try await task.value
    }

    /// Nothing writes the row any more.
    func savesSettled() async {
        _ = await lastSave?.result  // As above.
    }

    /// Writes the row where failing must not stop what goes on; the next start repairs from the host.
    func saveOrReport() async {
        if case .removing = phase { return }
        if case .removed = phase { return }
        do {
            try await save()
        } catch {
            logger.error("could not save the container", metadata: ["error": "\(error)"])
        }
    }

    func publish(_ action: String, _ attributes: [String: String] = [:]) {
        context.events.publish(
            "container", action, id: id, attributes: record.eventAttributes.merging(attributes) { $1 })
    }

    /// The row of a list.
    func listing() throws -> (row: ListedContainer, status: String) {
        if let listed { return (listed, statusText) }
        let row = try ListedContainer(
            summaryWithoutPorts(), NetworkView(record: record, isLive: phase.isLive).portRows(), created: record.created)
        listed = row
        return (row, statusText)
    }

    /// The live process, or Docker's complaint that there is none.
    func runningProcess() throws -> RunningContainer {
        guard let process = phase.process else {
            throw EngineError(.conflict, "container \(id) is not running")
        }
        return process
    }

    var layers: [Digest] {
        get throws { try record.layers.map { try Digest($0) } }
    }

    /// The whole root filesystem as a detached mount, for a container that does not run.
    func mountRoot() async throws -> SharedFD {
        let images = context.images
        let layers = try layers
        let paths = paths
        // What --rm says of a container holds for one that a crash of the machine has ended as well.
        let isScratch = record.hostConfig.AutoRemove == true
        return try await blocking {
            SharedFD(try images.layers.mount(layers: layers, upper: paths.upper, work: paths.work, isScratch: isScratch))
        }
    }
}

extension ContainerRecord {
    var eventAttributes: [String: String] {
        (config.Labels ?? [:]).merging(["name": name, "image": config.Image ?? ""]) { $1 }
    }
}
