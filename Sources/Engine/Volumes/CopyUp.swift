import Archive
import Blocking
import Images
import Linux
import OCI
import SystemPackage

/// Fills a volume that is empty with what the image has at the place where it goes, owners and modes included.
struct CopyUp {
    let context: EngineContext
    let volumes: VolumeStore

    func fill(_ mounts: [ResolvedMount], layers: [Digest]) async throws {
        let user = "copy-\(makeID())"
        do {
            for mount in mounts where mount.kind == .volume && !mount.noCopy {
                try await volumes.use(mount.name, by: user)
                try await fill(mount, layers)
            }
        } catch {
            await volumes.release(by: user, context.logger)
            throw error
        }
        await volumes.release(by: user, context.logger)
    }

    private func fill(_ mount: ResolvedMount, _ layers: [Digest]) async throws {
        let images = context.images
        guard let target = try await blocking({ try Self.emptyTarget(of: mount) }) else { return }
        let source = try await blocking { () -> SharedFD? in
            let root = try images.layers.mount(layers: layers, upper: nil, work: nil)
            return try Self.directory(mount.destination, root: root)
        }
        if let source { try await copy(source, to: target) }
    }

    /// The place in the volume that the container will see; nil when there is something in it, or when it is a part of the
    /// volume that does not exist.
    private static func emptyTarget(of mount: ResolvedMount) throws -> SharedFD? {
        let volume = try OwnedFD.open(FilePath(mount.source), [.readOnly, .directory])
        let place = try directory(mount.subpath ?? "/", root: volume)
        return try place.flatMap { place in try place.withOwned { try namesInDirectory($0).isEmpty } ? place : nil }
    }

    /// A directory inside a root; nil where there is none.
    private static func directory(_ path: String, root: borrowing OwnedFD) throws -> SharedFD? {
        do {
            return SharedFD(try PathInRoot.open(path, root: root, flags: [.readOnly, .directory]))
        } catch {
            if error.meansMissing { return nil }
            throw error
        }
    }

    private func copy(_ source: SharedFD, to target: SharedFD) async throws {
        try await ByteBridge.slots.take { try await transfer(source, to: target) }
    }

    private func transfer(_ source: SharedFD, to target: SharedFD) async throws {
        let pipe = try ByteBridge.Ends()
        async let packed: Void = blocking {
            let sink = BufferedSink(FileSink(try pipe.writing.take()))
            let writer = TarWriter(sink)
            try source.withOwned { try TreeArchive(writer).addContents(of: $0) }
            try writer.finish()
            try sink.flush()
        }
        async let unpacked: Void = blocking {
            let reader = TarReader(FileSource(try pipe.reading.take()))
            try Extraction(into: try target.duplicate()).run(reader)
            let metadata = try source.withOwned { try fstat($0) }
            try target.withOwned { directory in
                try fchown(directory, uid: metadata.uid, gid: metadata.gid)
                try fchmod(directory, mode: metadata.permissions)
            }
        }
        _ = try await (packed, unpacked)
    }
}
