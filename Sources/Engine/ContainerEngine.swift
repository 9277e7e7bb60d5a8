import Blocking
import Builder
public import DockerAPI
public import Images
import Linux
public import Logging
public import NIOCore
public import Networking
import OCI
public import Registry
import Store
import SystemPackage

/// The engine: what the API offers, without HTTP. Made once by the program's main.
public final class ContainerEngine: Sendable {
    let context: EngineContext
    let registry = ContainerRegistry()
    public let volumes: VolumeStore
    public let events: EventHub
    public let images: ImageStore
    /// The sockets that containers have of the API, each when it is made, for one server to serve.
    public let scopedListeners: AsyncStream<ScopedListener>
    let builds: Build
    let cacheMounts: CacheMounts
    let deposits = BuildDeposits()
    let shells = BuildShells()
    let cacheLimit: BuildCacheLimit
    let identity: String

    /// Opens the state below `paths`, takes up what runs, and repairs what a crash left. Returns when requests may come.
    public init(
        paths: EnginePaths, network: Networks.Configuration, registries: RegistryConfiguration = RegistryConfiguration(),
        buildCacheLimit: Int64? = nil, eventLoops: any EventLoopGroup, logger: Logger
    ) async throws {
        try await blocking {
            for directory in [paths.dataRoot, paths.execRoot, paths.containers, paths.volumes, paths.runtimeContainers, paths.runtimeBuilds] {
                try makeDirectories(directory, mode: 0o700)
            }
        }
        let database = try await Database.open(paths.dataRoot.appending("skiff.db"))
        images = try await ImageStore(
            root: paths.dataRoot, database: database, concurrentDownloads: registries.concurrentDownloads,
            concurrentUploads: registries.concurrentUploads, logger: logger)
        events = EventHub()
        let (listeners, continuation) = AsyncStream<ScopedListener>.makeStream()
        scopedListeners = listeners
        context = EngineContext(
            paths: paths, database: database, images: images, registries: Registries(registries, group: eventLoops),
            networks: Networks(database: database, logger: logger, configuration: network), events: events,
            reaper: SupervisorReaper(), runtime: try SealedProgram(paths.runtime), eventLoops: eventLoops,
            scopedListeners: continuation, logger: logger, host: try HostFacts.read())
        volumes = try await VolumeStore(root: paths.volumes, database: database, events: events)
        identity = try await EngineIdentity.load(paths.dataRoot)
        cacheLimit = try BuildCacheLimit(buildCacheLimit, dataRoot: paths.dataRoot, logger: logger)
        cacheMounts = CacheMounts(root: paths.cacheMounts, records: database.cacheMounts)
        try await cacheMounts.sweep()
        builds = Build(
            images: images, cache: database.buildCache, cacheMounts: cacheMounts,
            remoteFiles: BuildDownloads(registries: context.registries), runner: BuildStepRunner(context: context, registry: registry),
            scratch: paths.temporary)
        try await Restore(context: context, volumes: volumes, registry: registry).run()
    }

    /// Stops listening to the containers, which go on. The database is closed last.
    public func close() async throws {
        await cacheLimit.close()
        try await context.registries.shutdown()
        try await context.database.close()
    }

    /// What changes the host is finished or undone even when the client hangs up: the request only waits for it.
    func owned<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        try await Task(operation: work).value
    }

    // MARK: Containers

    public func createContainer(_ request: ContainerCreateRequest, name: String?, platform: String) async throws
        -> ContainerCreateResponse
    {
        let creation = ContainerCreate(context: context, volumes: volumes, registry: registry)
        let created = try await owned { try await creation.run(request, name: name, platform: platform) }
        var response = ContainerCreateResponse()
        response.Id = created.container.id
        response.Warnings = created.warnings
        return response
    }

    public func listContainers(all: Bool, limit: Int, size: Bool = false, filters: Filters) async throws -> [ContainerSummary] {
        try await ContainerList(registry: registry, images: images).run(all: all, limit: limit, size: size, filters: filters)
    }

    /// All that run, or all there are, as JSON.
    public func listContainersJSON(all: Bool) async throws -> [UInt8] {
        try await ContainerList(registry: registry, images: images).json(all: all)
    }

    public func startContainer(_ name: String) async throws {
        let container = try await registry.find(name)
        try await owned { try await container.start() }
    }

    public func stopContainer(_ name: String, signal: String?, timeout: Int?) async throws {
        let signal = try Self.signal(signal)
        let container = try await registry.find(name)
        try await owned { try await container.stop(signal: signal, timeout: timeout) }
    }

    public func restartContainer(_ name: String, signal: String?, timeout: Int?) async throws {
        let signal = try Self.signal(signal)
        let container = try await registry.find(name)
        try await owned { try await container.restart(signal: signal, timeout: timeout) }
    }

    public func killContainer(_ name: String, signal: String?) async throws {
        let signal = try Self.signal(signal)
        let container = try await registry.find(name)
        try await owned { try await container.kill(signal ?? .kill) }
    }

    public func removeContainer(_ name: String, force: Bool, volumes: Bool) async throws {
        let container = try await registry.find(name)
        try await owned { try await container.remove(force: force, removeVolumes: volumes) }
    }

    public func renameContainer(_ name: String, to new: String) async throws {
        let container = try await registry.find(name)
        try await owned { try await container.rename(to: new) }
    }

    public func pauseContainer(_ name: String) async throws {
        let container = try await registry.find(name)
        try await owned { try await container.pause() }
    }

    public func unpauseContainer(_ name: String) async throws {
        let container = try await registry.find(name)
        try await owned { try await container.unpause() }
    }

    public func inspectContainer(_ name: String, size: Bool = false) async throws -> ContainerInspectResponse {
        let container = try await registry.find(name)
        var response = await container.inspect()
        if size { (response.SizeRw, response.SizeRootFs) = try await container.sizes() }
        return response
    }

    /// Refuses an unknown container now; the closure waits.
    public func waitForContainer(_ name: String, _ condition: WaitCondition) async throws -> @Sendable () async throws -> WaitResult {
        let container = try await registry.find(name)
        return { try await container.wait(condition) }
    }

    public func topContainer(_ name: String, arguments: String) async throws -> ContainerTopResponse {
        try await registry.find(name).top(arguments: arguments)
    }

    /// Answers whether the container has a terminal, and what joins a client with it.
    public func attachContainer(_ name: String, _ options: AttachOptions) async throws
        -> (terminal: Bool, run: @Sendable (any ClientStream) async throws -> Void)
    {
        let container = try await registry.find(name)
        let ticket = try await container.beginAttach(options)
        return (await container.isTerminal, { try await container.attach(ticket, client: $0) })
    }

    public func resizeContainer(_ name: String, rows: UInt16, columns: UInt16) async throws {
        try await registry.find(name).resize(rows: rows, columns: columns)
    }

    public func containerLogs(_ name: String, _ query: LogQuery) async throws
        -> (terminal: Bool, run: @Sendable (@escaping @Sendable (ByteBuffer) async throws -> Void) async throws -> Void)
    {
        let container = try await registry.find(name)
        return (await container.isTerminal, { write in try await container.logs(query, write: write) })
    }

    // MARK: Exec

    /// - Parameter most: so many sessions of the container may run or wait to be started; nil: any number
    public func createExec(_ name: String, _ config: ExecConfig, most: Int? = nil) async throws -> String {
        try await (try registry.find(name)).createExec(config, most: most).id
    }

    public func inspectExec(_ id: String) async throws -> ExecInspectResponse {
        await (try await registry.findExec(id)).session.inspect()
    }

    public func startExec(_ id: String, _ start: ExecStartConfig) async throws
        -> (terminal: Bool, run: @Sendable ((any ClientStream)?) async throws -> Void)
    {
        let (container, session) = try await registry.findExec(id)
        _ = try await container.runningProcess()
        if case .created = await session.phase {
        } else {
            throw EngineError(.conflict, "exec session \(id) has already run")
        }
        return (await session.isTerminal, { try await container.startExec(session, start, client: $0) })
    }

    public func resizeExec(_ id: String, rows: UInt16, columns: UInt16) async throws {
        try await registry.findExec(id).session.resize(rows: rows, columns: columns)
    }

    static func signal(_ text: String?) throws(EngineError) -> Signal? {
        guard let text, !text.isEmpty else { return nil }
        guard let signal = Signal(text) else { throw EngineError(.invalidArgument, "invalid signal: \(text)") }
        return signal
    }
}
