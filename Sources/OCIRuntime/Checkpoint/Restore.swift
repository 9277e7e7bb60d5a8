import Linux
import OCI
public import SystemPackage

extension RuntimeRoot {
    /// `restore`: a new container whose processes come out of CRIU's images and run at once. Without `detach` it stays until
    /// the end and answers the exit code. When this throws nothing is left.
    ///
    /// The paths of the images begin where the caller stands, the others in the bundle, as with `create`.
    public func restore(_ id: String, bundle: FilePath, _ images: CheckpointRequest, _ request: ProcessRequest) throws -> Int32 {
        guard CurrentProcess.effectiveUserID == 0 else { throw RuntimeError("restore needs the rights of root, as CRIU does") }
        let program = try CRIUService.find(criu)
        let directory = try ImageDirectory(images, isDump: false)
        let bundle = try Self.enter(bundle)
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle, request)
        do {
            try request.check(terminal: creation.spec.process.terminal, staysAlone: request.detach)
            let signals = request.detach ? nil : HeldSignals(try SignalDescriptor())
            let restore = try ContainerRestore(creation: creation, images: images, directory: directory)
            var launched = try restore.run(program)
            do {
                try creation.finish(&launched, request)
                let foreground = try ForegroundTerminal(launched.takeTerminal())
                guard let signals else { return 0 }
                let end = try foreground.wait(for: launched, signals: signals)
                creation.remove()
                return end.code
            } catch {
                launched.abandon()
                throw error
            }
        } catch {
            creation.remove()
            throw error
        }
    }
}

extension RuntimeRoot {
    /// The absolute path of the bundle; what it names may be relative.
    public static func enter(_ bundle: FilePath) throws -> FilePath {
        let directory: OwnedFD
        do {
            directory = try OwnedFD.open(bundle, [.path, .directory])
        } catch {
            throw RuntimeError("chdir \(bundle): \(error.errno.goText)")
        }
        try Identity.changeDirectory(directory)
        return FilePath(try Identity.workingDirectory())
    }
}

extension ContainerCreation {
    /// What a container has that runs: its group to itself, and whatever its caller has asked for.
    fileprivate func finish(_ launched: inout Launched, _ request: ProcessRequest) throws {
        try group.hold(launched.pid)
        try request.deliver(&launched, as: "standard")
    }
}

/// One call of CRIU that makes the processes of a new container.
private struct ContainerRestore {
    let creation: ContainerCreation
    let images: CheckpointRequest
    let directory: ImageDirectory
    /// Whole, also where the creation knows the seccomp filter already.
    let spec: RuntimeSpec
    let namespaces: NamespacePlan
    let options: [MountOptions]
    /// Of CRIU: behind its socket come our standard streams, then namespaces.
    private static let firstStream = 4

    init(creation: ContainerCreation, images: CheckpointRequest, directory: ImageDirectory) throws {
        self.creation = creation
        self.images = images
        self.directory = directory
        let spec = try creation.root.config(creation.id)
        self.spec = spec
        let plan = try NamespacePlan(spec)
        try ContainerChecks(spec: spec, namespaces: plan).run()
        try ExternalNamespaces(spec: spec).check()
        namespaces = plan
        options = try spec.mounts.map { (mount) throws(LaunchError) in
            try MountOptions(mount, hasOwnUsers: plan.separatesUsers)
        }
    }

    func run(_ program: FilePath) throws -> Launched {
        let place = creation.directory.appending("criu-root")
        var (service, request) = try RestoreRoot(spec: spec, options: options, bundle: creation.bundle, place: place).with {
            try directory.reopen()
            var request = images.options(directory, log: "restore.log")
            images.putRestoreOptions(&request)
            request.put(13, place.string)
            let joined = ExternalNamespaces(spec: spec).putInherited(first: Self.firstStream + 3, namespaces, &request)
            ExternalMounts(spec: spec).putSources(bundle: creation.bundle, &request)
            StandardStreams.putInherited(try directory.readStreams(), first: Self.firstStream, &request)
            let passed = [0, 1, 2] + joined.map { $0.fd.raw }
            return (try CRIUService(program, input: images.shellJob ? 0 : nil, passed: passed), request)
        }
        do {
            // Whatever CRIU makes is born into the container's group.
            if let cgroup = creation.group.cgroup {
                try cgroup.enter(service.pid)
                try putGroups(service.pid, &request)
            }
            return try restore(service, request, try restoredNamespaces(service.pid))
        } catch let failure as CRIUFailure {
            service.end()
            throw directory.explain(failure, service)
        }
    }

    /// CRIU has a mount namespace of its own, in which the images could leave the processes.
    private func restoredNamespaces(_ service: Int32) throws -> RestoredNamespaces {
        RestoredNamespaces(
            new: namespaces.new,
            joined: try namespaces.joined.map { one in
                (kind: one.kind, identity: try RestoredNamespaces.identity(of: one.namespace.fd))
            },
            outside: try RestoredNamespaces.all(of: "/proc/self") + RestoredNamespaces.all(of: "/proc/\(service)"))
    }

    private func restore(_ service: CRIUService, _ request: ProtobufMessage, _ expected: RestoredNamespaces) throws -> Launched {
        try service.check(version: images.neededVersion(spec))
        if images.lazyPages { try service.check(feature: 2, "LazyPages") }
        var terminal: HeldFD?
        var restored: (pid: Int32, process: HeldFD)?
        do {
            let answer = try service.ask(.restore, request) { notification in
                switch notification.script {
                case "setup-namespaces": try prepare(notification.pid)
                case "orphan-pts-master": terminal = notification.descriptor
                case "post-restore": restored = (notification.pid, HeldFD(try openProcess(notification.pid)))
                case "pre-resume": try checkRestored(restored?.pid ?? 0, service, expected)
                default: break
                }
            }
            guard answer.number(2) == 1, let pid = answer.message(4)?.number(1).flatMap({ Int32(exactly: $0) }), pid > 0 else {
                throw CRIUFailure(kind: .restore, answer: answer)
            }
            let end = service.end()
            guard end == .exited(0) else { throw CRIUFailure(kind: .restore, text: "exit status \(end?.code ?? -1)") }
            if let rdt = spec.linux.intelRdt { try ResourceDirectory(rdt, id: creation.id).enter(pid) }
            return try Launched(restored: pid, terminal: terminal?.fd.duplicate())
        } catch {
            // CRIU may have killed it, and the rest goes with the group.
            if let restored { try? sendSignal(.kill, to: restored.process.fd) }
            throw error
        }
    }

    /// The last moment before the processes run, who may be asked for by then. CRIU does not hear a refusal any more, so they
    /// are killed.
    private func checkRestored(_ pid: Int32, _ service: CRIUService, _ expected: RestoredNamespaces) throws {
        let group = creation.group.cgroup
        do {
            guard pid > 0 else { throw RuntimeError("criu did not tell the restored process") }
            let others = try group?.processes().filter { $0 != pid && $0 != service.pid } ?? []
            try RestoreChecks(spec: spec, pid: pid, others: others, namespaces: expected, profile: images.lsmProfile).run()
            try creation.root.save(try creation.state(pid: pid, created: Timestamp.now().description))
        } catch {
            // The first error is the one to tell. In a namespace of their own the others die with the first one.
            if pid > 0 { try? kill(pid, .kill) }
            try? group?.killAll()
            throw error
        }
    }

    /// The first process has its namespaces, and nothing in them yet.
    private func prepare(_ pid: Int32) throws {
        let state = ReportedState(spec, LaunchOptions(id: creation.id, stdio: .terminal, bundle: creation.bundle)).json(.creating, pid: pid)
        try HookRun(.prestart, of: spec).runAll(state)
        try HookRun(.createRuntime, of: spec).runAll(state)
        if !spec.linux.netDevices.isEmpty {
            try NetDeviceMove(devices: spec.linux.netDevices).run(
                into: namespaces.joined(.network) ?? HeldFD(try NetworkNamespace.open(pid: pid)))
        }
    }

    /// For each hierarchy of cgroups: where the group of the images is now.
    private func putGroups(_ pid: Int32, _ request: inout ProtobufMessage) throws {
        let text = String(decoding: try OwnedFD.open(FilePath("/proc/\(pid)/cgroup"), .readOnly).readAll(limit: 65536), as: UTF8.self)
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                var root = ProtobufMessage()
                root.put(1, String(controller))
                root.put(2, String(parts[2]))
                request.put(25, root)
            }
        }
    }
}

extension Launched {
    /// A process that runs already and has nobody to talk to.
    fileprivate init(restored pid: Int32, terminal: consuming OwnedFD?) throws {
        self.init(pid: pid, pidfd: try openProcess(pid), channel: try Channel.Pair().takeParent(), terminal: terminal)
    }
}
