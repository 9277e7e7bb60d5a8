import Blocking
import DockerAPI
import Images
import Linux
import OCI
import SystemPackage

/// The root directory of a container, volumes included. Paths in it are resolved from its descriptor.
struct ContainerRoot: Sendable {
    private let directory: SharedFD
    /// Where the mounts of a container that does not run are: they stay as long as somebody holds it.
    private let namespace: SharedFD?

    init(_ directory: SharedFD, namespace: SharedFD? = nil) {
        self.directory = directory
        self.namespace = namespace
    }

    /// Lends the descriptor to a function that borrows one.
    func withOwned<T: ~Copyable, E: Error>(_ body: (borrowing OwnedFD) throws(E) -> T) throws(E) -> T {
        try directory.withOwned(body)
    }

    /// That of a running container.
    static func open(pid: Int32) throws(SystemError) -> OwnedFD {
        // A magic link of our own procfs, for a process that our supervisor holds.
        try OwnedFD.open(FilePath("/proc/\(pid)/root"), [.path, .directory])
    }
}

/// Puts together what a container would see if it ran: its layers, and its volumes and binds in their places, in a mount
/// namespace that exists only for that.
struct StoppedRoot {
    let container: Container

    private struct Part: Sendable {
        let mount: ResolvedMount
        let made: SharedFD?
    }

    func assemble() async throws -> ContainerRoot {
        let root = try await container.mountRoot()
        let mounts = await container.record.mounts.filter { $0.kind != .tmpfs && $0.kind != .engineSocket }
        guard !mounts.isEmpty else { return ContainerRoot(root) }
        // Options of a volume are looked up only while it is in use.
        let user = "files-\(makeID())"
        let (volumes, logger) = await (container.volumes, container.logger)
        do {
            for mount in mounts where mount.kind == .volume { try await volumes.use(mount.name, by: user) }
            let made = try await MadeMounts.make(mounts, images: container.context.images)
            let parts = mounts.map { mount in Part(mount: mount, made: made.all.first { $0.destination == mount.destination }?.mount) }
            let place = container.paths.data
            // From the first one on that shows other owners they are put in by the runtime, which can make such a mount.
            let plain = parts.prefix { $0.mount.ownerMapping == nil }
            let namespace = try await onThrowawayThread { try Self.assemble(root, Array(plain), at: place) }
            let rest = Array(parts[plain.endIndex...])
            if !rest.isEmpty { try await add(rest, made, to: namespace, root) }
            // The namespace has mounts of its own by now.
            await volumes.release(by: user, logger)
            return ContainerRoot(root, namespace: namespace)
        } catch {
            await volumes.release(by: user, logger)
            throw error
        }
    }

    private func add(_ parts: [Part], _ made: MadeMounts, to namespace: SharedFD, _ root: SharedFD) async throws {
        let (record, paths, context) = await (container.record, container.paths, container.context)
        let planned = try await blocking {
            let identity = try root.withOwned { try UserLookup(root: $0).identity(record.config.User ?? "") }
            let planner = ContainerMounts(
                record: record, paths: paths, privileged: false, runtime: context.paths.runtime, made: made.places,
                user: .init(user: identity.uid, group: identity.gid))
            return try parts.compactMap { part -> RuntimeSpec.Mount? in
                // As above: its start will say so.
                guard try part.made != nil || lstatIfExists(FilePath(part.mount.source)) != nil else { return nil }
                var mount = try planner.userMount(part.mount)
                mount.options = mount.options.filter { !["shared", "rshared", "slave", "rslave", "private"].contains($0) } + ["rprivate"]
                return mount
            }
        }
        try await LiveMounts.add(planned, made: made.all.map(\.mount), to: namespace, root: root, context)
    }

    /// The namespace in which `root` now stands at a place, with everything in it.
    private static func assemble(_ root: SharedFD, _ parts: [Part], at place: FilePath) throws -> SharedFD {
        let sources = try parts.map { part -> SharedFD? in
            if let made = part.made { return made }
            do {
                return SharedFD(try Mount.clone(of: FilePath(part.mount.source), recursive: !part.mount.nonRecursive))
            } catch let error as SystemError where error.meansMissing {
                return nil  // Its start will say so.
            }
        }
        let namespace = try MountNamespace()
        let directory = try OwnedFD.open(place, [.path, .directory])
        try root.withOwned { try Mount.attach($0, to: directory) }
        for (part, source) in zip(parts, sources) {
            guard let source else { continue }
            try source.withOwned { source in
                // A copy of a mount that the host shares would take what is mounted on it here back to the host.
                try Mount.setAttributes(source, propagation: .isPrivate, recursive: true)
                if part.mount.readOnly { try Mount.setAttributes(source, set: .readOnly) }
                let isDirectory = try fstat(source).kind == .directory
                try root.withOwned { try Mount.attach(source, to: try target(part.mount.destination, isDirectory, $0)) }
            }
        }
        return SharedFD(try namespace.descriptor())
    }

    /// Made where it is missing, as a start would make it.
    private static func target(_ path: String, _ isDirectory: Bool, _ root: borrowing OwnedFD) throws -> OwnedFD {
        if isDirectory { return try PathInRoot.makeDirectories(path, root: root) }
        let parent = FilePath(path).removingLastComponent().string
        try PathInRoot.makeDirectories(parent, root: root)
        do {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch {
            guard error.meansMissing else { throw error }
            _ = try PathInRoot.open(path, root: root, flags: [.writeOnly, .create, .nonBlocking, .noControllingTerminal], mode: 0o644)
            return try PathInRoot.open(path, root: root, flags: .path)
        }
    }
}
