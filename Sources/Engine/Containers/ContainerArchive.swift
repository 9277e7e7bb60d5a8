import Archive
import Blocking
public import DockerAPI
import Linux
public import NIOCore
import SystemPackage

/// `docker cp`, `docker export` and `docker diff`: the files of a container, running or not, always by descriptors that
/// are resolved inside its root.
extension ContainerEngine {
    public typealias ByteSender = @Sendable (ByteBuffer) async throws -> Void

    public func statPath(_ name: String, _ path: String) async throws -> ContainerPathStat {
        let root = try await (try registry.find(name)).openRoot()
        return try await blocking { try ContainerFile(root: root, path: path).stat() }
    }

    /// A path as an archive: a file as itself, a directory with its name.
    public func readArchive(_ name: String, _ path: String) async throws
        -> (stat: ContainerPathStat, write: @Sendable (ByteSender) async throws -> Void)
    {
        let container = try await registry.find(name)
        let root = try await container.openRoot()
        let stat = try await blocking { try ContainerFile(root: root, path: path).stat() }
        await container.publish("archive-path")
        return (
            stat,
            { send in
                try await ByteBridge.download(from: { try ContainerFile(root: root, path: path).archive(to: $0) }, to: send)
            }
        )
    }

    /// Unpacks an archive into a directory of the container. With `takesOwner` the files belong to the container's user.
    public func writeArchive(
        _ name: String, _ path: String, body: any UploadSource, keepsKind: Bool, takesOwner: Bool
    ) async throws {
        let container = try await registry.find(name)
        try await container.checkWritable(path)
        let root = try await container.openRoot()
        let user = await container.record.config.User ?? ""
        try await ByteBridge.upload(body) { source in
            let owner = takesOwner ? try root.withOwned { try UserLookup(root: $0).identity(user) } : nil
            try ContainerFile(root: root, path: path).unpack(source, keepsKind: keepsKind, owner: owner)
        }
        await container.publish("extract-to-dir")
    }

    public func exportContainer(_ name: String) async throws -> @Sendable (ByteSender) async throws -> Void {
        let container = try await registry.find(name)
        let root = try await container.layersRoot()
        await container.publish("export")
        return { send in try await ByteBridge.archive(root, to: send) }
    }
}

extension Container {
    /// What the container's own layers hold, without volumes, as Docker exports it. While the container runs it is another view
    /// of its root: a second overlay of the same directories would take from the first one what it needs to remove files.
    func layersRoot() async throws -> SharedFD {
        await startSettled()
        guard let pid = phase.process?.pid else { return try await mountRoot() }
        do {
            return try await onThrowawayThread { SharedFD(try MountNamespace.copyRoot(of: pid)) }
        } catch {
            guard phase.process == nil else { throw error }
            return try await mountRoot()  // It has ended meanwhile.
        }
    }

    /// The root as the container sees it: of the live process, otherwise its layers with its volumes in their places.
    func openRoot() async throws -> ContainerRoot {
        await startSettled()
        if let process = phase.process {
            return try await blocking { ContainerRoot(SharedFD(try ContainerRoot.open(pid: process.pid))) }
        }
        return try await StoppedRoot(container: self).assemble()
    }

    /// Refuses a place that is read-only to the container as well.
    func checkWritable(_ path: String) throws(EngineError) {
        let path = FilePath(path.hasPrefix("/") ? path : "/" + path).lexicallyNormalized()
        let mount = record.mounts.filter { path.starts(with: FilePath($0.destination)) }.max { $0.destination.count < $1.destination.count }
        if let mount {
            guard !mount.readOnly else { throw EngineError(.forbidden, "mounted volume is marked read-only") }
        } else if record.hostConfig.ReadonlyRootfs == true {
            throw EngineError(.forbidden, "container rootfs is marked read-only")
        }
    }
}

/// One path in a container.
struct ContainerFile {
    let root: ContainerRoot
    let path: String

    func stat() throws -> ContainerPathStat {
        try place { parent, name in
            let metadata = try parent.metadata(name)
            var stat = ContainerPathStat()
            stat.name = name?.description ?? "/"
            stat.size = metadata.size
            stat.mode = Self.goMode(metadata)
            stat.mtime = Timestamp(seconds: metadata.modified.seconds, nanoseconds: metadata.modified.nanoseconds).description
            stat.linkTarget = ""
            if metadata.kind == .symbolicLink, let name {
                stat.linkTarget = String(decoding: try readlinkat(parent.directory, name), as: UTF8.self)
            }
            return stat
        }
    }

    func archive(to sink: any ByteSink) throws {
        try place { parent, name in
            let writer = TarWriter(sink)
            let tree = TreeArchive(writer)
            if let name {
                // `/d/.` means the contents of `/d`: clients put another name in the place of the dot.
                try tree.add(name, in: parent.directory, as: path.hasSuffix("/.") ? Array(".".utf8) : name.bytes)
            } else {
                try tree.addContents(of: try reopenDirectory(parent.directory))
            }
            try writer.finish()
        }
    }

    func unpack(_ source: any ByteSource, keepsKind: Bool, owner: UserLookup.Identity?) throws {
        let directory: OwnedFD
        do {
            directory = try root.withOwned { try PathInRoot.open(path, root: $0, flags: [.path]) }
        } catch let error as SystemError where error.errno == .noSuchFileOrDirectory {
            throw EngineError(.notFound, "Could not find the file \(path) in container")
        }
        guard try fstat(directory).kind == .directory else {
            throw EngineError(.invalidArgument, "extraction point is not a directory")
        }
        let reader = TarReader(try decompressing(source))
        do {
            let ownership = owner.map { ExtractionOptions.Ownership.fixed(uid: $0.uid, gid: $0.gid) } ?? .fromArchive
            try Extraction(into: directory, options: ExtractionOptions(ownership: ownership, keepsKinds: keepsKind)).run(reader)
        } catch let error as ArchiveError {
            throw EngineError(.invalidArgument, error.description)
        }
    }

    /// The directory that the path lies in, and its name there; nil for the root itself.
    struct Place: ~Copyable {
        let directory: OwnedFD

        func metadata(_ name: FileName?) throws -> FileMetadata {
            if let name { return try fstatat(directory, name) }
            return try fstat(directory)
        }
    }

    private func place<T>(_ body: (borrowing Place, FileName?) throws -> T) throws -> T {
        do {
            let cleaned = FilePath(path.hasPrefix("/") ? path : "/" + path).lexicallyNormalized().string
            guard cleaned != "/" else {
                return try body(Place(directory: try root.withOwned { try PathInRoot.open("/", root: $0, flags: [.path]) }), nil)
            }
            let parent = try root.withOwned { try PathInRoot.openParent(of: cleaned, root: $0) }
            let name = try FileName(parent.name)
            return try body(Place(directory: try parent.directory.duplicate()), name)
        } catch let error as SystemError where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            throw EngineError(.notFound, "Could not find the file \(path) in container")
        }
    }

    /// Go's `FileMode`: permissions below, kinds in the upper bits.
    private static func goMode(_ metadata: FileMetadata) -> UInt32 {
        var mode = metadata.permissions & 0o777
        switch metadata.kind {
        case .directory: mode |= 1 << 31
        case .symbolicLink: mode |= 1 << 27
        case .blockDevice: mode |= 1 << 26
        case .characterDevice: mode |= 1 << 26 | 1 << 21
        case .fifo: mode |= 1 << 25
        case .socket: mode |= 1 << 24
        default: break
        }
        if metadata.permissions & 0o4000 != 0 { mode |= 1 << 23 }
        if metadata.permissions & 0o2000 != 0 { mode |= 1 << 22 }
        if metadata.permissions & 0o1000 != 0 { mode |= 1 << 20 }
        return mode
    }
}
