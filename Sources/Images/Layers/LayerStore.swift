import Blocking
import Linux
import Logging
public import OCI
import Store
import Synchronization
public import SystemPackage

/// The unpacked layers, each once, whatever images it belongs to:
///
/// ```
/// layers/<hex of the diff id>/diff       the files; removals are overlayfs white-outs
///                             frame      the layer's tar without the contents of its files, compressed
///                             replaced/  contents that the tar holds but a later entry of it replaced
/// layers/empty/diff                      nothing: what an image without layers is mounted from
/// ```
/// Frame and files together give back the tar byte for byte. A layer comes by renaming its finished directory and then
/// writing its row, and goes the other way round.
public final class LayerStore: Sendable {
    let root: FilePath
    let temporary: FilePath
    let records: LayerRecords
    let logger: Logger
    /// Held while a directory and its row come or go together; the inner value counts who needs a layer just now.
    let held = Mutex<[Digest: Int]>([:])

    /// May block.
    init(root: FilePath, temporary: FilePath, records: LayerRecords, logger: Logger) throws {
        self.root = root
        self.temporary = temporary
        self.records = records
        self.logger = logger
        try makeDirectories(root.appending("empty/diff"), mode: 0o755)
    }

    /// Where the files of a layer are.
    public func path(_ layer: Digest) -> FilePath { directory(layer).appending("diff") }

    func directory(_ layer: Digest) -> FilePath { root.appending(layer.hex) }

    /// Whether the layer is in the store, files and all.
    public func exists(_ layer: Digest) async throws -> Bool {
        try await blocking { try self.isWhole(layer) }
    }

    /// The size of the files in a layer, nil when it is not there.
    public func size(_ layer: Digest) async throws -> Int64? {
        try await blocking { try self.records.size(layer) }
    }

    /// What the layer takes on disk, as `du` says it. Measured once, since layers do not change.
    public func diskUsage(_ layer: Digest) async throws -> Int64 {
        try await blocking {
            if let known = try self.records.disk(layer) { return known }
            let measured = try allocatedBytes(of: self.directory(layer))
            try self.records.set(disk: measured, of: layer)
            return measured
        }
    }

    /// Keeps the layers in place while the body runs, even if the last image with them is removed meanwhile.
    public func holding<T: Sendable>(_ layers: [Digest], _ body: () async throws -> T) async throws -> T {
        hold(layers)
        defer { release(layers) }
        return try await body()
    }

    /// Mounts a stack of layers, base first, detached. With `upper` and `work` (empty directories on the same file
    /// system) changes go there; without, the mount is read-only. May block for a moment.
    ///
    /// Nothing of a scratch `upper` has to outlive a crash of the machine: neither do programs that write there wait for the
    /// disk, nor does the end of the mount (overlayfs's `volatile`). Whoever keeps something of it syncs it himself.
    public func mount(layers: [Digest], upper: FilePath?, work: FilePath?, isScratch: Bool = false) throws -> OwnedFD {
        let lower = layers.isEmpty ? [root.appending("empty/diff")] : layers.reversed().map(path)
        if upper == nil, lower.count == 1 {
            // An overlay wants two directories at least; one is as good as a bind mount.
            let mount = try Mount.clone(of: lower[0], recursive: false)
            try Mount.setAttributes(mount, set: .readOnly)
            return mount
        }
        if isScratch, let upper, let work { return try Self.scratch(over: lower, upper: upper, work: work) }
        return try Mount.overlay(lower: lower, upper: upper, work: work, attributes: upper == nil ? .readOnly : [])
    }

    /// The same with a scratch `upper` over any directories.
    public static func scratch(over lower: [FilePath], upper: FilePath, work: FilePath) throws -> OwnedFD {
        // The sign of an earlier mount of this kind, with which the kernel refuses a further one. That the machine has not
        // crashed since is for the caller to know.
        try removeTree(work.appending("work/incompat"))
        return try Mount.overlay(lower: lower, upper: upper, work: work, options: ["volatile"])
    }

    /// Removes layers that no image, no build step and nobody at work needs, all of them or those named. Answers which.
    @discardableResult
    public func removeUnused(among layers: [Digest]? = nil) async throws -> FreedLayers {
        try await blocking { try self.removeUnusedNow(among: layers) }
    }

    func hold(_ layers: [Digest]) {
        held.withLock { held in for layer in layers { held[layer, default: 0] += 1 } }
    }

    func release(_ layers: [Digest]) {
        held.withLock { held in
            for layer in layers {
                held[layer, default: 1] -= 1
                if held[layer] == 0 { held[layer] = nil }
            }
        }
    }
}

/// Layers that went away, and what they took on disk.
public struct FreedLayers: Sendable, Equatable {
    public var layers: [Digest]
    public var bytes: Int64
}
