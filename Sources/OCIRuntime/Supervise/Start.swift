import Linux
import OCI
import SystemPackage

extension Supervisor {
    /// Reads the configuration, makes socket, cgroup and streams, clones the process. When this throws, `fail` cleans up.
    static func begin(_ options: SuperviseOptions) throws -> Supervisor {
        let file = try OwnedFD.open(options.directory.appending("config.json"), .readOnly)
        let bytes = try file.readAll(limit: 4 << 20)
        if let exec = options.exec {
            let process = try RuntimeSpec.Process(json: try JSONValue.parse(bytes))
            return try begin(options, terminal: process.terminal) { supervisor, launch in
                try supervisor.launchExec(process, exec, launch)
            }
        }
        let (spec, filter) = try SeccompCache.read(bytes, filters: options.seccompCache)
        return try begin(options, terminal: spec.process.terminal) { supervisor, launch in
            var launch = launch
            launch.filter = filter
            return try supervisor.launchContainer(spec, launch)
        }
    }

    private static func begin(
        _ options: SuperviseOptions, terminal: Bool, launch: (Supervisor, LaunchOptions) throws -> Launched
    ) throws -> Supervisor {
        let streams = try ChildStreams(options, terminal: terminal)
        let directory = try OwnedFD.open(options.directory, [.path, .directory])
        let supervisor = try Supervisor(options, directory: directory, input: streams.input, log: openLog(options), terminal: terminal)
        do {
            try supervisor.openToOthers()
            try supervisor.adopt(try launch(supervisor, streams.launchOptions(options)), streams.sources)
        } catch {
            supervisor.fail(error)
        }
        return supervisor
    }

    private func openToOthers() throws {
        if let control = options.controlFD {
            let socket = OwnedFD(adopting: control)
            try socket.setNonBlocking()
            add(socket, isControl: true)
        }
        try listen(try UnixListener(name: Self.socketName, in: directory))
        try write(Array("\(processID())\n".utf8), to: "supervisor.pid")
    }

    func listen(_ listener: consuming UnixListener) throws {
        try epoll.add(listener.descriptor.raw, .readable, token: Token.listener)
        self.listener = consume listener
    }

    private func launchContainer(_ spec: RuntimeSpec, _ launch: LaunchOptions) throws -> Launched {
        if [HookKind.poststart, .poststop].contains(where: { !$0.hooks(of: spec).isEmpty }) {
            throw LaunchError(message: "hooks after the start are not supported by the supervisor")
        }
        // Whoever holds a detached mount keeps its file system busy.
        let mounts = options.mountFDs.map { HeldFD(OwnedFD(adopting: $0)) }
        defer { withExtendedLifetime(mounts) {} }
        let network = spec.beginNetworkNamespace()
        var launch = launch
        ownsProcesses = spec.linux.namespaces.contains { $0.type == .pid && $0.path == nil }
        if let path = spec.linux.cgroupsPath, !path.isEmpty {
            cgroup = try Cgroup.create(path: path, resources: Cgroup.Resources(spec.linux.resources))
        }
        launch.cgroup = cgroup
        state = SupervisedState(spec: spec, options: options, cgroup: cgroup)
        return try OCIRuntime.launchContainer(spec, launch, network: network)
    }

    private func launchExec(
        _ process: RuntimeSpec.Process, _ exec: SuperviseOptions.Exec, _ launch: LaunchOptions
    ) throws -> Launched {
        let file = try OwnedFD.open(exec.containerDirectory.appending("config.json"), .readOnly)
        let (spec, filter) = try SeccompCache.read(try file.readAll(limit: 4 << 20), filters: options.seccompCache)
        var launch = launch
        launch.filter = filter
        if let path = spec.linux.cgroupsPath, !path.isEmpty { launch.cgroup = try Cgroup.open(path: path) }
        state = SupervisedState(spec: spec, options: options, cgroup: launch.cgroup)
        return try OCIRuntime.launchExec(process, in: exec.containerPID, of: spec, launch)
    }

    private func adopt(_ launched: consuming Launched, _ sources: [OutputSource]) throws {
        pid = launched.pid
        try epoll.add(launched.statusFD, .readable, token: Token.status)
        self.launched = consume launched
        // After the clone, so that the new process has nothing blocked.
        try hearChildren()
        self.sources = sources
        state.pid = pid
        state.startTime = try processStartTime(pid)
        try writeState(.created)
        for control in connections where control.isControl { control.send(.created, Frame.bigEndian(UInt32(pid))) }
        try reapAll()
    }

    func hearChildren() throws {
        let children = try ChildSignals()
        try epoll.add(children.descriptor.raw, .readable, token: Token.children)
        self.children = consume children
    }

    /// The engine wants the program to run.
    func start() {
        guard case .waiting(let ready, startAsked: false) = phase else { return }
        phase = .waiting(ready: ready, startAsked: true)
        if ready { letGo() }
    }

    private func letGo() {
        phase = .starting(Timestamp.now())
        do { try launched?.release() } catch { fail(error) }
    }

    /// The new process says something, or is gone.
    func hearLaunch() throws {
        guard let status = try launched?.nextStatus() else { return }
        switch (status, phase) {
        case (.ready, .waiting(_, let startAsked)):
            try takeTerminal()
            phase = .waiting(ready: true, startAsked: startAsked)
            if startAsked { letGo() }
        case (.started, .starting(let time)):
            // Closing the channel ends its watch.
            process = launched.take()?.takeProcess()
            phase = .running(time)
            for connection in connections where connection.isSubscribed { connection.send(.started, []) }
            try writeState(.running)
            releaseFreeMemory()
        case (.failed(let error), _): fail(error)
        default: fail(LaunchError(message: "container process sent an unexpected message"))
        }
    }

    private func takeTerminal() throws {
        guard usesTerminal, let terminal = launched?.takeTerminal() else { return }
        try terminal.setNonBlocking()
        if let windowSize { try windowSize.set(terminal.raw) }
        input?.setTerminal(try terminal.duplicate())
        sources = [OutputSource(terminal, .stdout, token: Token.stdout)]
    }
}

/// The ends of the pipes of a process, or the wish for a terminal.
struct ChildStreams {
    private(set) var sources: [OutputSource] = []
    private(set) var input: InputSink?
    /// The ends for the process: stdin, stdout, stderr. They are closed here once it is cloned.
    private var ends: [HeldFD] = []

    init(_ options: SuperviseOptions, terminal: Bool) throws {
        if terminal {
            input = InputSink()
            return
        }
        if options.stdin {
            try openPipe { reading, writing in
                try writing.setNonBlocking()
                input = InputSink(writing)
                ends.append(HeldFD(reading))
            }
        } else {
            ends.append(HeldFD(try OwnedFD.open("/dev/null", .readOnly)))
        }
        let outputs: [(LogWriter.Stream, UInt64)] = [
            (.stdout, Supervisor.Token.stdout), (.stderr, Supervisor.Token.stderr),
        ]
        for (stream, token) in outputs {
            try openPipe { reading, writing in
                try reading.setNonBlocking()
                sources.append(OutputSource(reading, stream, token: token))
                ends.append(HeldFD(writing))
            }
        }
    }

    func launchOptions(_ options: SuperviseOptions) -> LaunchOptions {
        let stdio: LaunchOptions.Stdio =
            ends.count == 3
            ? .descriptors(input: ends[0].fd.raw, output: ends[1].fd.raw, error: ends[2].fd.raw) : .terminal
        var launch = LaunchOptions(id: options.id, stdio: stdio, rootMount: options.rootFD, bundle: options.directory)
        launch.mounts = options.mountFDs
        return launch
    }
}
