import Archive
import Blocking
public import Linux
public import OCI
import Store
import SystemPackage

extension LayerStore {
    /// Writes the tar of a layer, byte for byte as it came. `StoreError.corrupt` when the disk no longer gives the bytes
    /// that the diff id names; by then they are written.
    public func tar(_ layer: Digest, to output: SharedFD) async throws {
        try await blocking { try self.writeTar(layer, to: FileSink(output)) }
    }

    /// May block.
    func writeTar(_ layer: Digest, to sink: any ByteSink) throws {
        let hashing = HashingSink(sink)
        let buffered = BufferedSink(hashing)
        let files = try OwnedFD.open(path(layer), [.path, .directory])
        let replaced = try OwnedFD.open(directory(layer).appending("replaced"), [.readOnly, .directory])
        try reassembleTar(frame: frame(layer), files: files, replaced: replaced, to: buffered)
        try buffered.flush()
        guard hashing.digest == layer else { throw StoreError.corrupt("layer \(layer)") }
    }

    /// The length of that tar, which its frame tells.
    func tarLength(_ layer: Digest) throws -> Int64 {
        try reassembledLength(frame: frame(layer))
    }

    private func frame(_ layer: Digest) throws -> any ByteSource {
        let file = try OwnedFD.open(directory(layer).appending("frame"), [.readOnly, .noFollow])
        // Our own file: a long run of empty files packs well beyond what a stranger may send.
        var limits = ArchiveLimits()
        limits.compressionRatio = .max
        return try decompressing(FileSource(SharedFD(file)), limits: limits)
    }
}
