import Blocking
import Images
import Linux
import OCI
import SystemPackage

/// The directories of one step, below the build's own one: what the step writes goes to `upper`.
///
/// They lie on the data-root's filesystem, so that `upper` becomes a layer by a rename. The engine empties the directory
/// above them when it starts, and the layer's commit waits for the disk.
struct StepScratch: Sendable {
    let directory: FilePath
    var upper: FilePath { directory.appending("upper") }
    var work: FilePath { directory.appending("work") }

    /// Makes the directories. The root of a container shows the permissions of `upper`, so they are those of a root.
    init(in build: FilePath, id: String) async throws {
        let directory = build.appending(id)
        try await blocking {
            try makeDirectories(directory, mode: 0o700)
            for (name, mode) in [("upper", UInt32(0o755)), ("work", 0o700)] {
                let path = directory.appending(name)
                try makeDirectories(path, mode: mode)
                try fchmod(try OwnedFD.open(path, [.readOnly, .directory]), mode: mode)
            }
        }
        self.directory = directory
    }

    /// The root that a step sees: the layers so far, with `upper` above them.
    func root(_ layers: [Digest], _ store: LayerStore) throws -> OpenDirectory {
        OpenDirectory(try store.mount(layers: layers, upper: upper, work: work, isScratch: true))
    }

    /// Makes a layer of what the step wrote.
    /// - Parameter epoch: what is younger gets this time.
    /// - Returns: nil when it wrote nothing.
    func commit(to store: LayerStore, heldBy hold: LayerHold, notAfter epoch: Timestamp? = nil) async throws -> Digest? {
        let (upper, directory) = (upper, directory)
        let isEmpty = try await blocking {
            let opened = try OwnedFD.open(upper, [.readOnly, .directory])
            if let epoch { try Self.clamp(opened, epoch, depth: 0) }
            return try namesInDirectory(opened).isEmpty
        }
        let layer = isEmpty ? nil : try await store.commit(directory: upper, heldBy: hold)
        try await blocking { try removeTree(directory) }
        return layer
    }

    private static func clamp(_ directory: borrowing OwnedFD, _ epoch: Timestamp, depth: Int) throws {
        guard depth < 4096 else { throw BuildError.failed("directories are nested too deeply") }
        for name in try namesInDirectory(directory) {
            let metadata = try fstatat(directory, name)
            if metadata.kind == .directory {
                try clamp(try openat(directory, name, [.readOnly, .directory, .noFollow]), epoch, depth: depth + 1)
            }
            if isLater(metadata, epoch) { try utimensat(directory, name, modified: time(epoch)) }
        }
        if isLater(try fstat(directory), epoch) { try futimens(directory, modified: time(epoch)) }
    }

    private static func isLater(_ metadata: FileMetadata, _ epoch: Timestamp) -> Bool {
        Timestamp(seconds: metadata.modified.seconds, nanoseconds: metadata.modified.nanoseconds) > epoch
    }

    private static func time(_ epoch: Timestamp) -> FileMetadata.Time {
        FileMetadata.Time(seconds: epoch.seconds, nanoseconds: epoch.nanoseconds)
    }
}
