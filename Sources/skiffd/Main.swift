import ArgumentParser
import Blocking
import Dispatch
import Engine
import EngineServer
import Linux
import Logging
import NIOPosix
import Networking
import Registry
import Synchronization
import SystemPackage

/// The engine as a program: puts the parts together, listens, and leaves the containers running when it ends.
@main
struct Main: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skiffd", abstract: "The engine of Skiff: Docker's Engine API on a unix socket.",
        discussion: "Containers go on when the engine ends, whichever way it does; the next start takes them up again.",
        version: "skiffd \(ContainerEngine.programVersion)")

    @Option(help: "Where images, containers and volumes are kept.")
    var dataRoot = "/var/lib/skiff"

    @Option(help: "Where the state of running containers is kept.")
    var execRoot = "/run/skiff"

    @Option(
        name: [.customShort("H"), .long],
        help: "Where to listen: unix://PATH, tcp://ADDRESS:PORT or fd://; may be repeated. (default: unix://<exec-root>/docker.sock)")
    var host: [String] = []

    @OptionGroup(title: "TCP")
    var security: TransportSecurity

    @Option(help: "The OCI runtime. (default: skiff-runtime beside this program)")
    var runtime: String?

    @Option(help: "The bridge of the default network. (default: skiff0, or a name made of --exec-root)")
    var bridge: String?

    @Flag(help: "Let the host's own rules for what comes in (ufw, firewalld, nftables) decide about published ports.")
    var hostInputPolicy = false

    @Option(help: "Settings for registries, as JSON with Docker's names. A missing file is none if it is the usual one.")
    var configFile = DaemonConfiguration.usualFile

    @Option(
        name: .customLong("cdi-spec-dir"),
        help: "A directory with files of the Container Device Interface; may be repeated. (default: /etc/cdi, /var/run/cdi)")
    var cdiDirectories: [String] = []

    @Option(help: "Where systemd's journal takes the lines of the log driver journald.")
    var journalSocket = "/run/systemd/journal/socket"
    @Option(help: "How much builds may keep for later ones, as 20GB. (default: a tenth of the file system)")
    var buildCacheLimit: String?

    @OptionGroup(title: "Registries")
    var registryOptions: RegistryOptions

    @Option(help: "How much is logged: debug, info, warning or error.")
    var logLevel = "info"

    @Option(help: ArgumentHelp("A descriptor to close when requests are answered.", visibility: .hidden))
    var readyFd: Int32?

    func run() throws {
        // Before the first thread exists: all of them leave these signals to the queue.
        let signals = try SignalQueue([.terminate, .interrupt])
        // Each container that runs is a connection; a shell's 1,024 are soon used up.
        do {
            try CurrentProcess.raiseOpenFileLimit()
        } catch {
            try? StandardStream.error.write("skiffd: the limit of open files stays as it is: \(error)\n")  // Only advice.
        }
        Task {
            do {
                try await serve(signals)
                CurrentProcess.exit(0)
            } catch {
                try? StandardStream.error.write("skiffd: \(error)\n")  // Nobody is left to tell.
                CurrentProcess.exit(1)
            }
        }
        // Not dispatchMain(): it lets the main thread take every signal, and SIGTERM would end the engine at once.
        DispatchSemaphore(value: 0).wait()
    }

    private func serve(_ signals: SignalQueue) async throws {
        guard CurrentProcess.effectiveUserID == 0 else {
            throw ValidationError("skiffd has to run as root in this version of Skiff")
        }
        ignoreBrokenPipes()
        let execRoot = try Self.root(execRoot)
        let file = try DaemonConfiguration.load(configFile)
        var paths = EnginePaths(
            dataRoot: try Self.root(dataRoot), execRoot: execRoot, runtime: try runtimePath())
        let cdi = cdiDirectories + file.cdiSpecDirs
        if !cdi.isEmpty { paths.cdiDirectories = cdi.map { FilePath($0) } }
        paths.journal = FilePath(journalSocket)
        let lock = try EngineLock.acquire(paths)
        var logger = Logger(label: "skiffd", factory: { _ in StreamLogHandler.standardError(label: "skiffd") })
        guard let level = Logger.Level(rawValue: logLevel) else { throw ValidationError("unknown log level '\(logLevel)'") }
        logger.logLevel = level
        let sockets = try EngineSockets(hosts: host, execRoot: execRoot, security: security, logger: logger)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let name = bridge ?? Self.bridgeName(execRoot)
        var network = Networks.Configuration(bridgeName: name, nftTable: name == "skiff0" ? "skiff" : name)
        network.followsInputPolicy = hostInputPolicy || file.followsInputPolicy
        let engine = try await ContainerEngine(
            paths: paths, network: network,
            registries: try registryOptions.configuration(file: configFile), buildCacheLimit: try cacheLimit(), eventLoops: group, logger: logger)
        let server = APIServer(engine: engine, group: group, logger: logger)
        try await listen(signals, server, sockets.places, engine.scopedListeners, logger)
        try sockets.remove()
        try await engine.close()
        withExtendedLifetime(lock) {}
    }

    /// By the name that the kernel gives it: what is mounted below is looked for by that.
    private static func root(_ path: String) throws -> FilePath {
        let path = FilePath(path).lexicallyNormalized()
        try makeDirectories(path, mode: 0o700)
        return try realPath(of: try OwnedFD.open(path, [.path, .directory]))
    }

    /// Until SIGTERM or SIGINT.
    private func listen(
        _ signals: SignalQueue, _ server: APIServer, _ places: [ListenerPlace], _ scoped: AsyncStream<ScopedListener>, _ logger: Logger
    )
        async throws
    {
        let ready = readyFd
        let opening = Opening(places.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for place in places {
                group.addTask {
                    try await server.serve(place) {
                        guard opening.isComplete() else { return }
                        logger.info("ready")
                        // Whoever waits for the descriptor to close sees that requests are answered from here on.
                        if let ready { _ = try? InheritedSocket.adopt(ready) }  // A wrong number only means that nobody waits.
                    }
                }
            }
            group.addTask { await server.serve(scoped) }
            group.addTask {
                let signal = try await signals.next()
                logger.info("ending; containers go on", metadata: ["signal": "\(signal?.description ?? "")"])
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private func cacheLimit() throws -> Int64? {
        try buildCacheLimit.map { text in
            guard let bytes = BuildCacheLimit.bytes(text) else { throw ValidationError("invalid size of the build cache '\(text)'") }
            return bytes
        }
    }

    private func runtimePath() throws -> FilePath {
        if let runtime { return FilePath(runtime) }
        return try CurrentProcess.executable().removingLastComponent().appending("skiff-runtime")
    }

    /// Two engines on one host need two bridges: all but the standard one get a name made of their place.
    private static func bridgeName(_ execRoot: FilePath) -> String {
        guard execRoot != "/run/skiff" else { return "skiff0" }
        let hash = execRoot.string.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "sk" + String(String(hash, radix: 16).suffix(10))
    }
}

/// Counts the places that are still to be listened on.
private final class Opening: Sendable {
    private let left: Mutex<Int>

    init(_ count: Int) {
        left = Mutex(count)
    }

    /// One more is open; true for the last.
    func isComplete() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }
}
