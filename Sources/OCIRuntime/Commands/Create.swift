import Linux
import OCI
public import SystemPackage

/// A container while it comes to be. Whatever fails undoes what was made before.
struct ContainerCreation {
    let root: RuntimeRoot
    let id: String
    let bundle: FilePath
    let spec: RuntimeSpec
    private let filter: KnownFilter?
    private let network: NetworkNamespaceAhead?
    let directory: FilePath
    let group: ContainerGroup

    /// Reads the bundle and makes the state directory and the cgroup.
    init(root: RuntimeRoot, id: String, bundle: FilePath, _ request: ProcessRequest) throws {
        try RuntimeRoot.check(id)
        let bytes = try Self.readConfig(bundle, request.configuration)
        var (spec, filter) = try root.read(bytes)
        network = spec.beginNetworkNamespace()
        if request.listenDescriptors > 0 {
            // The first process of the container is 1 as it sees itself.
            spec.process.env += ["LISTEN_FDS=\(request.listenDescriptors)", "LISTEN_PID=1"]
        }
        self.spec = spec
        self.filter = filter
        self.root = root
        self.id = id
        self.bundle = bundle
        directory = try root.make(id)
        do {
            try Self.write(bytes, directory.appending("config.json"))
            group = try ContainerGroup.make(spec, id: id, root)
        } catch {
            try? removeTree(directory)  // The first error is the one to tell.
            throw error
        }
    }

    private static func write(_ bytes: [UInt8], _ path: FilePath) throws {
        try OwnedFD.open(path, [.writeOnly, .create, .exclusive], mode: 0o600).writeAll(bytes)
    }

    private static func readConfig(_ bundle: FilePath, _ other: String?) throws -> [UInt8] {
        let path = bundle.pushing(FilePath(other ?? "config.json"))
        do {
            return try OwnedFD.open(path, .readOnly).readAll(limit: 4 << 20)
        } catch {
            let isMissing = error.errno == .noSuchFileOrDirectory
            throw isMissing ? RuntimeError("JSON specification file \(other ?? "config.json") not found") : error
        }
    }

    /// Clones the process, waits until it is ready, and writes down what was made.
    func launch(_ request: ProcessRequest, gate: Int32?, diesWithParent: Bool) throws -> Launched {
        let terminal = spec.process.terminal
        let created = Timestamp.now().description
        var options = LaunchOptions(
            id: id, stdio: terminal ? .terminal : .descriptors(input: 0, output: 1, error: 2), bundle: bundle,
            cgroup: group.forClone, diesWithParent: diesWithParent, gate: gate, preservedDescriptors: request.inheritedDescriptors,
            newKeyring: request.newKeyring)
        options.keepsOldRoot = request.keepsOldRoot
        options.filter = filter
        var launched = try launchContainer(spec, options, network: network)
        do {
            // While the process is at work.
            let state = try root.write(try state(pid: launched.pid, created: created))
            try launched.waitUntilReady()
            try group.hold(launched.pid)
            try state.putInPlace()
            try request.deliver(&launched, as: "standard")
        } catch {
            launched.abandon()
            throw error
        }
        return launched
    }

    func state(pid: Int32, created: String) throws -> ContainerState {
        ContainerState(
            id: id, ociVersion: spec.ociVersion, pid: pid, startTime: try processStartTime(pid), bundle: bundle.string,
            rootfs: bundle.pushing(FilePath(spec.root.path)).string, created: created, cgroupPath: group.cgroup?.path ?? "",
            annotations: spec.annotations, scope: group.scope)
    }

    /// Removes everything; the processes have to be gone or dying.
    func remove() {
        // Only clean-up: what cannot be removed now, `delete --force` removes.
        try? group.remove(killing: !spec.hasOwnPidNamespace)
        try? removeTree(directory)
        spec.removeResourceDirectory(id)
        ReportedState(spec, LaunchOptions(id: id, stdio: .terminal, bundle: bundle)).runPoststop(spec)
    }
}

extension RuntimeRoot {
    /// `create`: everything but the program itself; the process waits at a named pipe.
    public func create(_ id: String, bundle: FilePath, _ request: ProcessRequest) throws {
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle, request)
        do {
            try request.check(terminal: creation.spec.process.terminal, staysAlone: true)
            let directory = try OwnedFD.open(creation.directory, [.path, .directory])
            try makeNamedPipe("exec.fifo", in: directory)
            let gate = try OwnedFD.open("exec.fifo", in: directory, .readWrite)
            _ = try creation.launch(request, gate: gate.raw, diesWithParent: false)
        } catch {
            creation.remove()
            throw launchFailure(error)
        }
    }

    /// `start`: lets the waiting process go.
    public func start(_ id: String) throws {
        let state = try load(id)
        switch status(state) {
        case .created: break
        case .stopped: throw RuntimeError("cannot start a container that has stopped")
        case .running, .paused: throw RuntimeError("cannot start an already running container")
        }
        let directory = try OwnedFD.open(directory(id), [.path, .directory])
        let gate = try OwnedFD.open("exec.fifo", in: directory, [.writeOnly, .nonBlocking])
        do {
            // Whoever removes the name starts the container, nobody else.
            try unlinkat(directory, "exec.fifo")
        } catch {
            let isMissing = error.errno == .noSuchFileOrDirectory
            throw isMissing ? RuntimeError("cannot start an already running container") : error
        }
        try gate.writeAll([0])
        try runPoststart(state, try config(id))
    }

    /// `run`: create and start; without `detach` it stays until the end and answers the exit code.
    public func run(_ id: String, bundle: FilePath, _ request: ProcessRequest, keep: Bool = false) throws -> Int32 {
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle, request)
        do {
            let terminal = creation.spec.process.terminal
            try request.check(terminal: terminal, staysAlone: request.detach)
            let signals = request.detach ? nil : HeldSignals(try SignalDescriptor())
            var launched = try creation.launch(request, gate: nil, diesWithParent: false)
            do {
                let foreground = try ForegroundTerminal(launched.takeTerminal())
                try launched.open()
                if creation.spec.hooks != nil { try runPoststart(try load(id), creation.spec) }
                guard let signals else { return 0 }
                let end = try foreground.wait(for: launched, signals: signals)
                if !keep { creation.remove() }
                return end.code
            } catch {
                launched.abandon()
                throw error
            }
        } catch {
            creation.remove()
            throw launchFailure(error)
        }
    }
}

extension RuntimeSpec {
    /// All processes of the container die with its first one. To look for survivors costs milliseconds on version 1 of the
    /// cgroups, so it is done only without this.
    var hasOwnPidNamespace: Bool {
        linux.namespaces.contains { $0.type == .pid && $0.path == nil }
    }
}

/// A start that failed, as runc says it.
func launchFailure(_ error: any Error) -> any Error {
    guard let error = error as? LaunchError else { return error }
    return RuntimeError("unable to start container process: \(error.message)")
}
