import Archive
import Linux
import OCI
import Store
import SystemPackage

// What tells whether a layer is whole. All of it may block.
extension LayerStore {
    struct Verified {
        var tarBytes: Int64
        /// Of the files, as `size` in the layer's row.
        var contentBytes: Int64
    }

    /// Makes the layer's tar again and compares it with the digest. Throws when that cannot be done, or gives other bytes.
    func verify(_ layer: Digest) throws -> Verified {
        let made = try ProducedSource { sink in try self.writeTar(layer, to: sink) }
        defer { made.stop() }
        let counting = CountingSource(made)
        let reader = TarReader(counting)
        var content: Int64 = 0
        while let entry = try reader.next() { content += entry.size }
        return Verified(tarBytes: counting.count, contentBytes: content)
    }

    /// Notes in the layer's directory that it is damaged: it may still be mounted, but counts as missing where it comes
    /// anew.
    func markDamaged(_ layer: Digest, _ reason: String) throws {
        try writeAtomically(Array(reason.utf8), to: damageMark(layer), sync: true)
    }

    /// Whether there was such a note; it goes if `only` says so.
    func unmarkDamaged(_ layer: Digest, only wanted: Bool) throws -> Bool {
        guard try lstatIfExists(damageMark(layer)) != nil else { return false }
        if wanted { try unlink(damageMark(layer)) }
        return true
    }

    func damageMark(_ layer: Digest) -> FilePath { directory(layer).appending("damaged") }
}

private final class CountingSource: ByteSource {
    private let source: any ByteSource
    private(set) var count: Int64 = 0

    init(_ source: any ByteSource) { self.source = source }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try source.read(into: buffer)
        self.count += Int64(count)
        return count
    }
}
