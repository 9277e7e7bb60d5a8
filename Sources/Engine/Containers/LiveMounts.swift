import Blocking
import Linux
import OCI
import SystemPackage

/// Changes the mounts of a running container, by a process that joins its mount namespace (`skiff-runtime change-mounts`).
struct LiveMounts: Sendable {
    let context: EngineContext
    /// The container's first process.
    let pid: Int32
    let id: String
    let paths: ContainerPaths
    /// All mounts that it is to have, those that come and go too.
    let listed: [ResolvedMount]

    /// The process that changes the mounts was killed half-way: there may be all, some or nothing of the change.
    struct CutOff: Error, CustomStringConvertible {
        /// Nothing more comes of it.
        let isOver: Bool

        var description: String {
            "the mounts could not be changed in time, perhaps by a file system that does not answer: what may still be mounted stays listed"
        }
    }

    /// Links and file systems of the container's own can keep a look-up waiting, in milliseconds.
    private static let patience: Int32 = 15_000

    /// How long a killed process may take; one that sleeps in the kernel ends when it is let go.
    private static let lastPatience: Int32 = 2_000

    /// All of it, or nothing; throws `CutOff` when neither is known. `made` are mounts that those that come name by their number.
    func change(coming: [RuntimeSpec.Mount], made: [SharedFD], leaving: [ResolvedMount], lazily: Bool) async throws {
        try await run(coming, made, leaving, lazily ? ["--lazily"] : [])
    }

    /// Undoes what a change that was cut off may have done: takes away what has come, and puts back what is missing.
    func undo(coming: [ResolvedMount], leaving: [RuntimeSpec.Mount], made: [SharedFD]) async throws {
        try await run(leaving, made, coming, ["--lazily", "--missing-only"])
    }

    private func run(_ coming: [RuntimeSpec.Mount], _ made: [SharedFD], _ leaving: [ResolvedMount], _ switches: [String]) async throws {
        let (joined, arguments) = try await blocking {
            let staying = listed.filter { !leaving.contains($0) }.flatMap { ["--stays", $0.destination] }
            return (SharedFD(try namespace()), leaving.flatMap { ["--remove", $0.destination, identity(of: $0)] } + staying + switches)
        }
        try await Self.change(context, joined, root: nil, coming: coming, made: made, arguments)
    }

    /// Puts mounts into a mount namespace, below a root that stands there.
    static func add(
        _ coming: [RuntimeSpec.Mount], made: [SharedFD], to namespace: SharedFD, root: SharedFD, _ context: EngineContext
    ) async throws {
        try await change(context, namespace, root: root, coming: coming, made: made, [])
    }

    private static func change(
        _ context: EngineContext, _ namespace: SharedFD, root: SharedFD?, coming: [RuntimeSpec.Mount], made: [SharedFD], _ changes: [String]
    ) async throws {
        let (process, output, end) = try await blocking {
            let (process, output) = try spawn(context.runtime, namespace, root: root, coming: coming, made: made, changes)
            return (process, output, try wait(for: process))
        }
        guard let end else {
            await context.reaper.add(process)
            throw CutOff(isOver: false)
        }
        guard case .exited(let code) = end else { throw CutOff(isOver: true) }
        guard code != 0 else { return }
        let text = try await blocking {
            try output.withOwned { (output) throws(SystemError) -> [UInt8] in
                try output.rewind()
                return try output.readAll(limit: 64 << 10)
            }
        }
        let reason = String(decoding: text, as: UTF8.self)
        throw EngineError(code == 2 ? .conflict : .invalidArgument, reason.isEmpty ? "the mounts could not be changed" : reason)
    }

    /// The process, and what takes the reason of its failure.
    private static func spawn(
        _ runtime: SealedProgram, _ namespace: SharedFD, root: SharedFD?, coming: [RuntimeSpec.Mount], made: [SharedFD], _ changes: [String]
    ) throws -> (Int32, SharedFD) {
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
        return (process, SharedFD(output))
    }

    /// nil when the process goes on for all that it was killed; nobody has reaped it then.
    private static func wait(for pid: Int32) throws -> ExitStatus? {
        let process = try openProcess(pid)
        if try !pollReadable(process.raw, milliseconds: patience) {
            try sendSignal(.kill, to: process)
            guard try pollReadable(process.raw, milliseconds: lastPatience) else { return nil }
        }
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
