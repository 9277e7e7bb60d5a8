import Linux
import OCI
public import SystemPackage

extension RuntimeRoot {
    /// `restore`: a container from a checkpoint. It runs when this returns; without `detach` its exit code is the answer.
    public func restore(_ id: String, bundle: FilePath, _ request: ProcessRequest, _ criu: CriuRequest) throws -> Int32 {
        let program = try CriuRequest.program()
        let creation = try ContainerCreation(root: self, id: id, bundle: bundle, request)
        do {
            try CriuRequest.checkSupport(creation.spec)
            let signals = request.detach ? nil : HeldSignals(try SignalDescriptor())
            // CRIU's child becomes ours when CRIU has ended, or else that of whoever started us.
            if !request.detach { try Identity.adoptOrphans() }
            let pid = try Restoration(creation: creation, request: criu).run(program)
            try creation.group.hold(pid)
            try save(try creation.state(pid: pid, created: Timestamp.now().description))
            if let file = request.pidFile { try writeAtomically(Array("\(pid)".utf8), to: FilePath(file), mode: 0o644, sync: false) }
            guard let signals else { return 0 }
            let end = try Self.wait(for: pid, signals)
            creation.remove()
            return end.code
        } catch {
            creation.remove()
            throw launchFailure(error)
        }
    }

    private static func wait(for pid: Int32, _ signals: HeldSignals) throws -> ExitStatus {
        if let end = try endOfChild(pid) { return end }
        while true {
            let signal = try signals.signals.next()
            if signal == .childEnded {
                if let end = try endOfChild(pid) { return end }
            } else if signal != .urgentData {
                try? Linux.kill(pid, signal)  // Ended meanwhile: the end itself is told next.
            }
        }
    }
}

/// One call of CRIU that puts processes together, in a mount namespace in which the container's root is a mount.
struct Restoration {
    let creation: ContainerCreation
    let request: CriuRequest

    private var spec: RuntimeSpec { creation.spec }

    /// Answers the pid of the container's first process.
    func run(_ program: FilePath) throws -> Int32 {
        let root = creation.directory.appending("criu-root")
        let pidFile = creation.directory.appending("criu-pid")
        try makeDirectories(root, mode: 0o700)
        var arguments = ["restore", "--restore-detached", "--root", root.string, "--pidfile", pidFile.string]
        arguments += try request.places(log: "restore.log") + request.flags
        // CRIU stands in the container's group, and so do those that it makes, unless it is told to do otherwise.
        arguments.append("--manage-cgroups=\(request.cgroups ?? "ignore")")
        for mount in CriuRequest.externalMounts(spec) {
            arguments += ["--external", "mnt[\(mount.destination)]:\(creation.bundle.pushing(FilePath(mount.source)).string)"]
        }
        for path in spec.linux.maskedPaths { arguments += ["--external", "mnt[\(path)]:/dev/null"] }
        var descriptors: [Int32] = [0, 1, 2]
        arguments += try inherited(&descriptors)
        var network: HeldFD?
        if let path = CriuRequest.externalNetwork(spec) {
            let namespace = HeldFD(try OwnedFD.open(FilePath(path), .readOnly))
            network = namespace
            arguments += ["--inherit-fd", "fd[\(descriptors.count)]:extRootNetNS"]
            descriptors.append(namespace.fd.raw)
        }
        let status = try call(program, arguments, descriptors, root: root)
        withExtendedLifetime(network) {}
        guard status.isSuccess else {
            throw RuntimeError("criu failed: exit status \(status.code)\nlog file: \(request.logPath("restore.log"))")
        }
        let text = String(decoding: try OwnedFD.open(pidFile, .readOnly).readAll(limit: 64), as: UTF8.self)
        guard let pid = Int32(text.prefix { $0.isNumber }) else { throw RuntimeError("criu told no pid") }
        return pid
    }

    /// Our streams in place of the pipes that the first process had.
    private func inherited(_ descriptors: inout [Int32]) throws -> [String] {
        let file = FilePath(request.images).appending("descriptors.json")
        guard try lstatIfExists(file) != nil else { return [] }
        var arguments: [String] = []
        let names = try JSONValue.parse(try OwnedFD.open(file, .readOnly).readAll(limit: 1 << 16)).array ?? []
        for (number, name) in names.prefix(3).enumerated() {
            guard let name = name.string, name.hasPrefix("pipe:") else { continue }
            arguments += ["--inherit-fd", "fd[\(number)]:\(name)"]
        }
        return arguments
    }

    /// In a child of our own, which is in the container's group and whose mounts are nobody else's.
    private func call(_ program: FilePath, _ arguments: [String], _ descriptors: [Int32], root: FilePath) throws -> ExitStatus {
        var directory: HeldFD?
        if let group = try creation.group.forClone?.directoryFD() { directory = HeldFD(group) }
        switch try cloneProcess([], cgroupDirectory: directory?.fd.raw) {
        case .parent(let pid, _): return try reap(pid)
        case .child:
            Identity.resetSignals()
            do {
                try creation.group.forClone?.enterFromChild()
                try Namespaces.mount.unshare()
                let present = try OwnedFD.open("/", [.path, .directory])
                try Mount.setAttributes(present, propagation: .isPrivate, recursive: true)
                let source = try Mount.clone(of: creation.bundle.pushing(FilePath(spec.root.path)), recursive: true)
                try Mount.attach(source, to: try OwnedFD.open(root, [.path, .directory]))
                try prepareTargets(try OwnedFD.open(root, [.path, .directory]))
                try Identity.arrangeDescriptors(descriptors)
                _ = execute(program.string, arguments: ["criu"] + arguments, environment: CurrentProcess.environment)
            } catch {
                // Nobody reads an error from here but a person.
                try? StandardStream.error.write("\(runtimeText(error))\n")
            }
            endProcess(1)
        }
    }

    /// The places of the mounts, which CRIU expects to exist.
    private func prepareTargets(_ root: borrowing OwnedFD) throws {
        for mount in spec.mounts {
            let isBelowAnother = spec.mounts.contains { other in
                other.destination != mount.destination && mount.destination.hasPrefix(other.destination + "/")
            }
            if isBelowAnother { continue }  // Inside of what CRIU mounts.
            let isFile = mount.source.map { source in
                mount.options.contains { $0 == "bind" || $0 == "rbind" }
                    && ((try? fstat(try OwnedFD.open(creation.bundle.pushing(FilePath(source)), .path)).kind) ?? .directory) != .directory
            }
            if isFile == true { _ = try MountTarget.file(mount.destination, root: root) } else { _ = try MountTarget.directory(mount.destination, root: root) }
        }
    }
}
