import Linux
import OCI
public import SystemPackage

/// What create, run and exec have in common: where a process's terminal, pid and descriptors go.
public struct ProcessRequest: Sendable {
    public var consoleSocket: String?
    public var pidFile: String?
    public var preservedDescriptors: Int
    public var detach: Bool

    public init(consoleSocket: String? = nil, pidFile: String? = nil, preservedDescriptors: Int = 0, detach: Bool = false) {
        self.consoleSocket = consoleSocket
        self.pidFile = pidFile
        self.preservedDescriptors = preservedDescriptors
        self.detach = detach
    }

    /// A terminal of a process that nobody stays with has to go somewhere, and nowhere without one.
    func check(terminal: Bool, staysAlone: Bool) throws {
        if terminal, staysAlone, consoleSocket == nil {
            throw RuntimeError("cannot allocate tty if runc will detach without setting console socket")
        }
        if consoleSocket != nil, !terminal || !staysAlone {
            throw RuntimeError("cannot use console socket if runc will not detach or allocate tty")
        }
    }

    func deliver(_ launched: inout Launched) throws {
        if let consoleSocket, let terminal = launched.takeTerminal() {
            let path = FilePath(consoleSocket)
            let directory = path.isAbsolute || path.components.count > 1 ? path.removingLastComponent() : "."
            let connection = try connectUnix(name: path.lastComponent?.string ?? "", in: directory)
            try sendDescriptor(terminal.raw, Array("/dev/ptmx".utf8), over: connection.raw)
        }
        if let pidFile {
            try writeAtomically(Array("\(launched.pid)".utf8), to: FilePath(pidFile), mode: 0o644, sync: false)
        }
    }
}

/// A container while it comes to be. Whatever fails undoes what was made before.
struct ContainerCreation {
    let root: RuntimeRoot
    let id: String
    let bundle: FilePath
    let spec: RuntimeSpec
    let directory: FilePath
    /// nil for an ordinary user who has none to give.
    let cgroup: Cgroup?

    /// Reads the bundle and makes the state directory and the cgroup.
    init(root: RuntimeRoot, id: String, bundle: FilePath) throws {
        try RuntimeRoot.check(id)
        let bytes = try Self.readConfig(bundle)
        spec = try RuntimeSpec(bytes: bytes)
        self.root = root
        self.id = id
        self.bundle = bundle
        directory = try root.make(id)
        do {
            try Self.write(bytes, directory.appending("config.json"))
            let path = spec.linux.cgroupsPath ?? ""
            guard path.split(separator: ":", omittingEmptySubsequences: false).count != 3 else {
                throw RuntimeError("cgroupsPath \(path) is one of systemd, which is not supported")
            }
            cgroup = try Self.makeCgroup(path.isEmpty ? "/\(id)" : path, try Cgroup.Resources(spec.linux.resources))
        } catch {
            try? removeTree(directory)  // The first error is the one to tell.
            throw error
        }
    }

    /// Without limits to keep a container can do without a group of its own, where its user may not make one.
    private static func makeCgroup(_ path: String, _ resources: Cgroup.Resources) throws -> Cgroup? {
        do throws(SystemError) {
            return try Cgroup.create(path: path, resources: resources)
        } catch {
            let isRefused = [.permissionDenied, .notPermitted, .readOnlyFileSystem].contains(error.errno)
            guard isRefused, CurrentProcess.effectiveUserID != 0 else { throw error }
            var limits = resources
            limits.devices = []
            guard limits == Cgroup.Resources() else {
                throw RuntimeError("rootless needs no limits when no permission is granted for cgroups: \(error)")
            }
            return nil
        }
    }

    private static func write(_ bytes: [UInt8], _ path: FilePath) throws {
        try OwnedFD.open(path, [.writeOnly, .create, .exclusive], mode: 0o600).writeAll(bytes)
    }

    private static func readConfig(_ bundle: FilePath) throws -> [UInt8] {
        do {
            return try OwnedFD.open(bundle.appending("config.json"), .readOnly).readAll(limit: 4 << 20)
        } catch {
            let isMissing = error.errno == .noSuchFileOrDirectory
            throw isMissing ? RuntimeError("JSON specification file config.json not found") : error
        }
    }

    /// Clones the process, waits until it is ready, and writes down what was made.
    func launch(_ request: ProcessRequest, gate: Int32?, diesWithParent: Bool) throws -> Launched {
        let terminal = spec.process.terminal
        let created = Timestamp.now().description
        var launched = try launchContainer(
            spec,
            LaunchOptions(
                id: id, stdio: terminal ? .terminal : .descriptors(input: 0, output: 1, error: 2), bundle: bundle,
                cgroup: cgroup, diesWithParent: diesWithParent, gate: gate,
                preservedDescriptors: request.preservedDescriptors))
        do {
            try launched.waitUntilReady()
            try root.save(try state(pid: launched.pid, created: created))
            try request.deliver(&launched)
        } catch {
            launched.abandon()
            throw error
        }
        return launched
    }

    private func state(pid: Int32, created: String) throws -> ContainerState {
        ContainerState(
            id: id, ociVersion: spec.ociVersion, pid: pid, startTime: try processStartTime(pid), bundle: bundle.string,
            rootfs: bundle.pushing(FilePath(spec.root.path)).string, created: created, cgroupPath: cgroup?.path ?? "",
            annotations: spec.annotations)
    }

    /// Removes everything; the processes have to be gone or dying.
    func remove() {
        // Only clean-up: what cannot be removed now, `delete --force` removes.
        if !spec.hasOwnPidNamespace { try? cgroup?.killAll() }
        try? cgroup?.remove()
        try? removeTree(directory)
        spec.removeResourceDirectory(id)
        ReportedState(spec, LaunchOptions(id: id, stdio: .terminal, bundle: bundle)).runPoststop(spec)
    }
}

extension RuntimeRoot {
    /// `create`: everything but the program itself; the process waits at a named pipe.
    public func create(_ id: String, bundle: FilePath, _ request: ProcessRequest) throws {
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle)
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
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle)
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
