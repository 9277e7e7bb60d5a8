import Linux
import OCI
import SystemPackage

/// A layer that came from a registry, verified and unpacked, on its way to the disk:
///
/// ```
/// downloads/<hex of the blob>.layer/   as it is going to be in `layers/`
/// downloads/<hex of the blob>.ready    boot id, diff id and size, a line each: the layer is whole
/// ```
/// From here on the blob itself is not needed any more, and goes before the disk has seen most of it. When the engine is
/// killed meanwhile, the files are nevertheless whole, as long as the machine runs on; a power cut may have taken what it
/// will, so after that the layer comes anew. All of it may block.
struct ReadyLayer {
    let layer: UnpackedLayer
    private let mark: FilePath

    /// Makes an unpacked layer one that outlives the engine, and removes its blob.
    init(_ unpacked: UnpackedLayer, of blob: Digest, in downloads: FilePath) throws {
        let place = Self.place(blob, downloads)
        mark = Self.mark(blob, downloads)
        try Self.remove(blob, in: downloads)
        try rename(unpacked.place, to: place)
        layer = UnpackedLayer(place: place, diffID: unpacked.diffID, size: unpacked.size)
        do {
            try writeAtomically(Array("\(try Self.boot())\n\(layer.diffID)\n\(layer.size)\n".utf8), to: mark, sync: false)
        } catch {
            // The blob is still there.
            try removeTree(place)
            throw error
        }
        try PartialBlob.remove(blob, in: downloads)
    }

    private init(_ layer: UnpackedLayer, mark: FilePath) {
        self.layer = layer
        self.mark = mark
    }

    /// What an engine that was killed has left of a blob, if it can be believed; anything else is removed.
    static func find(_ blob: Digest, _ diffID: Digest, in downloads: FilePath) throws -> ReadyLayer? {
        let (place, mark) = (place(blob, downloads), mark(blob, downloads))
        if try lstatIfExists(mark) != nil, try lstatIfExists(place) != nil {
            let lines = String(decoding: try OwnedFD.open(mark, [.readOnly, .noFollow]).readAll(limit: 4096), as: UTF8.self)
                .split(separator: "\n")
            if lines.count == 3, try lines[0] == boot(), lines[1] == "\(diffID)", let size = Int64(lines[2]) {
                return ReadyLayer(UnpackedLayer(place: place, diffID: diffID, size: size), mark: mark)
            }
        }
        try remove(blob, in: downloads)
        return nil
    }

    /// The layer is in the store.
    func forget() throws { try unlinkIfExists(mark) }

    /// No error when nothing is there.
    static func remove(_ blob: Digest, in downloads: FilePath) throws {
        try unlinkIfExists(mark(blob, downloads))
        // Out of the way first: whoever publishes it at this moment gets all of it or nothing.
        let leaving = downloads.appending("\(blob.hex).\(hexadecimal(.random(in: .min ... .max))).gone")
        do {
            try rename(place(blob, downloads), to: leaving)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return
        }
        try removeTree(leaving)
    }

    /// What it takes of the disk; 0 when there is none.
    static func allocatedBytes(of blob: Digest, in downloads: FilePath) throws -> Int64 {
        try Linux.allocatedBytes(of: place(blob, downloads))
    }

    private static func place(_ blob: Digest, _ downloads: FilePath) -> FilePath { downloads.appending("\(blob.hex).layer") }
    private static func mark(_ blob: Digest, _ downloads: FilePath) -> FilePath { downloads.appending("\(blob.hex).ready") }

    private static func boot() throws -> String {
        let bytes = try OwnedFD.open("/proc/sys/kernel/random/boot_id", .readOnly).readAll(limit: 64)
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
