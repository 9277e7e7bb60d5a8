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
        for mount in mounts where mount.kind == .volume && !mount.noCopy {
            let images = context.images
            let target = FilePath(mount.source)
            let source = try await blocking { () -> SharedFD? in
                guard try namesInDirectory(try OwnedFD.open(target, [.readOnly, .directory])).isEmpty else { return nil }
                let root = try images.layers.mount(layers: layers, upper: nil, work: nil)
                return try Self.directory(mount.destination, root: root)
            }
            if let source { try await copy(source, to: target) }
        }
    }

    /// The image's directory; nil where it has none.
    private static func directory(_ path: String, root: borrowing OwnedFD) throws -> SharedFD? {
        do {
            return SharedFD(try PathInRoot.open(path, root: root, flags: [.readOnly, .directory]))
        } catch {
            if error.meansMissing { return nil }
            throw error
        }
    }

    private func copy(_ source: SharedFD, to target: FilePath) async throws {
        try await ByteBridge.turns.take { try await transfer(source, to: target) }
    }

    private func transfer(_ source: SharedFD, to target: FilePath) async throws {
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
            try Extraction(into: try OwnedFD.open(target, [.path, .directory])).run(reader)
            try source.withOwned { source in
                let metadata = try fstat(source)
                let directory = try OwnedFD.open(target, [.readOnly, .directory])
                try fchown(directory, uid: metadata.uid, gid: metadata.gid)
                try fchmod(directory, mode: metadata.permissions)
            }
        }
        _ = try await (packed, unpacked)
    }
}
