import Archive
import Blocking
public import Linux
public import OCI
import Store
import SystemPackage

/// A layer that is unpacked, but not yet published.
struct UnpackedLayer {
    let place: FilePath
    let diffID: Digest
    let size: Int64
}

extension LayerStore {
    /// Makes a layer of a tar that may be compressed. `ImageError.invalid` when its digest is not the expected one.
    public func unpack(from input: SharedFD, expected: Digest? = nil) async throws -> Digest {
        try await blocking {
            let layer = try self.unpackNow(decompressing(FileSource(input)))
            if let expected, expected != layer.diffID {
                self.discard(layer.place)
                throw ImageError.invalid("the layer has the digest \(layer.diffID), not \(expected)")
            }
            try self.publish(layer.place, as: layer.diffID, size: layer.size)
            return layer.diffID
        }
    }

    /// Makes a layer of an overlay's upper directory on the same file system, which is moved into the store. Nothing may
    /// write to it any more. `hold` keeps the new layer.
    public func commit(directory: FilePath, heldBy hold: LayerHold? = nil) async throws -> Digest {
        try await blocking {
            let place = try self.beginLayer()
            do {
                try removeTree(place.appending("diff"))
                let (diffID, size) = try self.archive(directory, in: place)
                try rename(directory, to: place.appending("diff"))
                try self.publish(place, as: diffID, size: size, heldBy: hold)
                try removeTree(directory)
                return diffID
            } catch {
                self.discard(place)
                throw error
            }
        }
    }

    /// The same of a copy: the directory stays, and may belong to a running container.
    public func commit(copyOf directory: FilePath) async throws -> Digest {
        try await blocking {
            let tar = try ProducedSource { sink in
                let writer = TarWriter(sink)
                let opened = try OwnedFD.open(directory, [.readOnly, .directory])
                try TreeArchive(writer, options: TreeOptions(isOverlayUpper: true)).addContents(of: opened)
                try writer.finish()
            }
            let layer = try self.unpackNow(tar)
            try self.publish(layer.place, as: layer.diffID, size: layer.size)
            return layer.diffID
        }
    }

    /// May block. On failure nothing is left.
    func unpackNow(_ source: any ByteSource) throws -> UnpackedLayer {
        let place = try beginLayer()
        do {
            let hashing = HashingSource(source)
            let ahead = try ProducedSource(readingAhead: hashing)
            defer { ahead.stop() }
            let frame = try FrameFile(place)
            let replaced = try OwnedFD.open(place.appending("replaced"), [.readOnly, .directory])
            let extraction = try Extraction(
                into: OwnedFD.open(place.appending("diff"), [.path, .directory]),
                options: ExtractionOptions(whiteouts: .asOverlay, startsWriting: true), replaced: replaced)
            try extraction.run(TarReader(ahead, frame: frame.frame))
            ahead.stop()
            try frame.finish()
            return UnpackedLayer(place: place, diffID: try hashing.finish(), size: extraction.contentBytes)
        } catch {
            discard(place)
            throw error
        }
    }

    /// Computes the digest of the tar that the directory makes, and writes its frame.
    private func archive(_ directory: FilePath, in place: FilePath) throws -> (Digest, Int64) {
        let frame = try FrameFile(place)
        let hashing = HashingSink()
        let writer = TarWriter(hashing, frame: frame.frame)
        let tree = TreeArchive(writer, options: TreeOptions(isOverlayUpper: true))
        let opened = try OwnedFD.open(directory, [.readOnly, .directory])
        try tree.addContents(of: opened)
        try writer.finish()
        try frame.finish()
        return (hashing.digest, tree.contentBytes)
    }
}

/// The compressed frame of a layer that is being made.
private struct FrameFile {
    let frame: TarFrame
    private let zstd: ZstdSink
    private let file: BufferedSink

    init(_ place: FilePath) throws {
        try makeDirectories(place.appending("replaced"))
        let opened = try OwnedFD.open(place.appending("frame"), [.writeOnly, .create, .exclusive])
        file = BufferedSink(FileSink(SharedFD(opened)))
        zstd = try ZstdSink(file)
        frame = try TarFrame(zstd)
    }

    func finish() throws {
        try frame.finish()
        try zstd.finish()
        try file.flush()
    }
}
