import Linux
import OCI
import SystemPackage

/// Changes the mounts of a running container, by a process that joins its mount namespace (`skiff-runtime change-mounts`).
struct LiveMounts: Sendable {
    let runtime: SealedProgram
    /// The container's first process.
    let pid: Int32
    let id: String
    let paths: ContainerPaths

    /// Links and file systems of the container's own can keep a look-up waiting.
    private static let patience: Int32 = 15_000

    /// All of it, or nothing. Blocks. `made` are mounts that those that come name by their number.
    func change(coming: [RuntimeSpec.Mount], made: [SharedFD], leaving: [ResolvedMount], lazily: Bool) throws {
        var arguments = leaving.flatMap { ["--remove", $0.destination, identity(of: $0)] }
        if lazily { arguments.append("--lazily") }
        try Self.change(runtime, SharedFD(try namespace()), root: nil, coming: coming, made: made, arguments)
    }

    /// Puts mounts into a mount namespace, below a root that stands there. Blocks.
    static func add(_ coming: [RuntimeSpec.Mount], made: [SharedFD], to namespace: SharedFD, root: SharedFD, by runtime: SealedProgram) throws {
        try change(runtime, namespace, root: root, coming: coming, made: made, [])
    }

    private static func change(
        _ runtime: SealedProgram, _ namespace: SharedFD, root: SharedFD?, coming: [RuntimeSpec.Mount], made: [SharedFD], _ changes: [String]
    ) throws {
        let input = try memoryFile("mounts")
        try input.writeAll(RuntimeSpec(mounts: coming).json().serialized())
        try input.rewind()
        let output = try memoryFile("reason")
        let null = try OwnedFD.open("/dev/null", .readWrite)
        var descriptors = [input.raw, output.raw, null.raw, namespace.raw]
        var arguments = ["change-mounts", "--namespace-fd", "3"]
        if let root {
            arguments += ["--root-fd", "\(descriptors.count)"]
            descriptors.append(root.raw)
        }
        for mount in made {
            arguments += ["--mount-fd", "\(descriptors.count)"]
            descriptors.append(mount.raw)
        }
        let process = try runtime.spawn(arguments: arguments + changes, environment: [], descriptors: descriptors)
        withExtendedLifetime((namespace, root, made)) {}
        let status = try wait(for: process)
        guard status != .exited(0) else { return }
        try output.rewind()
        let reason = String(decoding: try output.readAll(limit: 64 << 10), as: UTF8.self)
        throw EngineError(
            status == .exited(2) ? .conflict : .invalidArgument, reason.isEmpty ? "the mounts could not be changed" : reason)
    }

    private static func wait(for pid: Int32) throws -> ExitStatus {
        let process = try openProcess(pid)
        if try !pollReadable(process.raw, milliseconds: patience) { try sendSignal(.kill, to: process) }
        return try reap(pid)
    }

    /// Device and inode of a mount's source, by which it is known again; `-` where there is none.
    private func identity(of mount: ResolvedMount) -> String {
        let path: FilePath
        switch mount.kind {
        case .bind, .volume: path = FilePath(mount.source)
        case .engineSocket: path = paths.apiSocket
        case .tmpfs, .image: return "-"
        }
        // A source that is gone is not known, and then the place has to be the right one.
        guard let source = try? OwnedFD.open(path, .path),
            let place = try? mount.subpath.map({ try PathInRoot.open($0, root: source, flags: .path) }) ?? source.duplicate(),
            let status = try? fstat(place)
        else { return "-" }
        return "\(status.device):\(status.inode)"
    }

    /// That of the container and of no other process that has got the number meanwhile.
    private func namespace() throws -> OwnedFD {
        let process = try openProcess(pid)
        let namespace = try OwnedFD.open(FilePath("/proc/\(pid)/ns/mnt"), .readOnly)
        let groups = String(decoding: try OwnedFD.open(FilePath("/proc/\(pid)/cgroup"), .readOnly).readAll(limit: 1 << 20), as: UTF8.self)
        guard groups.contains(id), try !pollReadable(process.raw, milliseconds: 0) else {
            throw EngineError(.conflict, "container \(id) is not running")
        }
        return namespace
    }
}
