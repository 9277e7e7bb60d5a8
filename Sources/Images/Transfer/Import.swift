import Archive
import Blocking
public import Linux
public import OCI
import SystemPackage

extension ImageStore {
    /// `docker import`: makes an image with one layer of a root file system's tar, which may be compressed. `changes` are
    /// lines of a Dockerfile that set the configuration.
    public func importRootfs(
        from input: SharedFD, reference: Reference?, changes: [String] = [], message: String = ""
    ) async throws -> Image {
        var settings = ImageConfig.Config()
        try settings.apply(changes: changes)
        let layer = try await layers.unpack(from: input)
        return try await layers.holding([layer]) {
            let now = Self.now()
            let step = ImageConfig.History(created: now, comment: message.isEmpty ? nil : message)
            let config = ImageConfig(
                created: now, config: settings, rootfs: .init(diffIDs: [layer]), history: [step])
            return try await create(config: config, references: reference.map { [$0] } ?? [])
        }
    }

    /// `docker export`: writes a file tree, for instance a container's mounted root, as a tar.
    public func export(rootfs: consuming OwnedFD, to output: SharedFD) async throws {
        let rootfs = SharedDirectory(rootfs)
        try await blocking {
            let writer = TarWriter(FileSink(output))
            try TreeArchive(writer).addContents(of: rootfs.directory)
            try writer.finish()
        }
    }

    /// The time as image configurations hold it.
    public static func now() -> String {
        Timestamp.now().description
    }
}

/// A descriptor on its way into a closure.
private final class SharedDirectory: Sendable {
    let directory: OwnedFD
    init(_ directory: consuming OwnedFD) { self.directory = directory }
}
