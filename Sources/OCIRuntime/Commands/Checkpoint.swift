import Linux
import OCI
import SystemPackage

extension RuntimeRoot {
    /// `checkpoint`: writes all processes of a container to files. Afterwards they are gone, and the container too, unless
    /// it is to go on running.
    public func checkpoint(_ id: String, _ request: CriuRequest) throws {
        let state = try load(id)
        guard [.running, .paused].contains(status(state)) else { throw RuntimeError("Container cannot be checkpointed in \(status(state)) state") }
        let spec = try config(id)
        try CriuRequest.checkSupport(spec)
        let program = try CriuRequest.program()
        var arguments = [request.isPreDump ? "pre-dump" : "dump", "--tree", "\(state.pid)"] + (try request.places(log: "dump.log"))
        arguments += request.flags
        if request.leavesRunning, !request.isPreDump { arguments.append("--leave-running") }
        if let parent = request.parentPath { arguments += ["--prev-images-dir", parent, "--track-mem"] }
        if request.isPreDump, request.parentPath == nil { arguments.append("--track-mem") }
        arguments += try pageServer(request)
        arguments.append("--manage-cgroups=\(request.cgroups ?? "soft")")
        if !request.isPreDump { arguments += try external(spec, state) }
        try writeDescriptors(state, request)
        let status = try runCriu(program, arguments, request, log: "dump.log")
        guard status.isSuccess else {
            throw RuntimeError("criu failed: exit status \(status.code)\nlog file: \(request.logPath("dump.log"))")
        }
        if !request.leavesRunning, !request.isPreDump { try delete(id, force: true) }
    }

    private func pageServer(_ request: CriuRequest) throws -> [String] {
        var arguments: [String] = []
        if let server = request.pageServer {
            let parts = server.split(separator: ":")
            guard parts.count == 2, UInt16(parts[1]) != nil else {
                throw RuntimeError("Use --page-server ADDRESS:PORT to specify page server")
            }
            arguments += ["--page-server", "--address", String(parts[0]), "--port", String(parts[1])]
        }
        if request.statusDescriptor != nil { arguments += ["--status-fd", "3"] }
        return arguments
    }

    private func external(_ spec: RuntimeSpec, _ state: ContainerState) throws -> [String] {
        var arguments: [String] = []
        for mount in CriuRequest.externalMounts(spec) { arguments += ["--external", "mnt[\(mount.destination)]:\(mount.destination)"] }
        for path in spec.linux.maskedPaths {
            // A masked directory is a mount of its own, a masked file one of the host's null device.
            guard let file = try? OwnedFD.open(FilePath("/proc/\(state.pid)/root\(path)"), .path),
                try fstat(file).kind == .characterDevice
            else { continue }
            arguments += ["--external", "mnt[\(path)]:\(path)"]
        }
        if CriuRequest.externalNetwork(spec) != nil {
            let inode = try fstat(try OwnedFD.open(FilePath("/proc/\(state.pid)/ns/net"), .path)).inode
            arguments += ["--external", "net[\(inode)]:extRootNetNS"]
        }
        return arguments
    }

    /// Where the first process's standard streams lead, for the restore to put others in their place.
    private func writeDescriptors(_ state: ContainerState, _ request: CriuRequest) throws {
        let directory = try OwnedFD.open(FilePath("/proc/\(state.pid)/fd"), [.path, .directory])
        var names: [JSONValue] = []
        for number in 0...2 {
            // A closed one leads nowhere.
            let target = (try? readlinkat(directory, try FileName("\(number)"))) ?? []
            names.append(.string(String(decoding: target, as: UTF8.self)))
        }
        try writeAtomically(
            JSONValue.array(names).serialized(), to: FilePath(request.images).appending("descriptors.json"), sync: false)
    }

    private func runCriu(_ program: FilePath, _ arguments: [String], _ request: CriuRequest, log: String) throws -> ExitStatus {
        let null = try OwnedFD.open("/dev/null", .readWrite)
        var descriptors = [null.raw, null.raw, null.raw]
        if let status = request.statusDescriptor {
            guard try lstatIfExists(FilePath("/proc/self/fd/\(status)")) != nil else { throw RuntimeError("invalid --status-fd argument \(status)") }
            descriptors.append(status)
        }
        return try reap(
            try spawn(program, arguments: arguments, environment: CurrentProcess.environment, descriptors: descriptors))
    }
}
