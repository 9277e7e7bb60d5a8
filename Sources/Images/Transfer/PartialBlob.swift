import Archive
import Linux
import OCI
import SystemPackage

/// A blob on its way from a registry, on disk, so that a transfer goes on at the byte where it broke off:
///
/// ```
/// downloads/<hex>       the bytes, each at its place
/// downloads/<hex>.map   for each piece of 4 MiB, how many of its first bytes are there (64 bits, little endian)
/// ```
/// Several connections fill it at several places, while one thread reads it from the beginning on. The bytes have hardly
/// left the page cache when the layer is unpacked (`ReadyLayer`) and both files go. What a power cut takes from them is
/// noticed by the digest.
final class PartialBlob: Sendable {
    static let pieceBytes: Int64 = 4 << 20

    let size: Int64
    /// Bytes that were there from an earlier transfer.
    let resumedBytes: Int64
    private let path: FilePath
    private let file: SharedFD
    private let map: SharedFD
    private let state: Monitor<State>

    private struct State {
        /// Of each piece.
        var present: [Int64]
        var claimed: Set<Int> = []
        /// From the beginning on, without a gap.
        var prefix: Int64 = 0
        var total: Int64 = 0
        var failure: (any Error)?
    }

    /// More than any layer has; the map of what is there grows with it.
    static let largest: Int64 = 1 << 40

    /// Goes on with what an earlier transfer has left, or begins. May block.
    init(_ descriptor: Descriptor, in directory: FilePath) throws {
        size = descriptor.size
        path = directory.appending(descriptor.digest.hex)
        file = SharedFD(try OwnedFD.open(path, [.readWrite, .create, .noFollow]))
        let mapPath = FilePath("\(path).map")
        map = SharedFD(try OwnedFD.open(mapPath, [.readWrite, .create, .noFollow]))
        guard (0...Self.largest).contains(size) else { throw ImageError.invalid("blob \(descriptor.digest) has \(size) bytes") }
        let count = Int((size + Self.pieceBytes - 1) / Self.pieceBytes)
        let present = try Self.readMap(map, count, size, fileSize: file.withOwned { try fstat($0).size })
        var state = State(present: present)
        state.total = present.reduce(0, +)
        state.prefix = Self.prefix(state.present, from: 0, size)
        resumedBytes = state.total
        self.state = Monitor(state)
    }

    /// Both files; no error when they are not there.
    static func remove(_ digest: Digest, in directory: FilePath) throws {
        for name in [digest.hex, "\(digest.hex).map"] { try unlinkIfExists(directory.appending(name)) }
    }

    // MARK: For those who fill it

    var presentBytes: Int64 { state.withLock { $0.total } }
    var isComplete: Bool { presentBytes == size }

    /// The next part that nobody fetches yet: from the first byte missing on, at most `limit` bytes or one piece. It has to
    /// be given back.
    func claim(limit: Int64) -> Range<Int64>? {
        state.withLock { state in
            func end(_ piece: Int) -> Int64 { min(size, Int64(piece + 1) * Self.pieceBytes) }
            func isWhole(_ piece: Int) -> Bool { state.present[piece] == end(piece) - Int64(piece) * Self.pieceBytes }
            guard let first = state.present.indices.first(where: { !state.claimed.contains($0) && !isWhole($0) }) else { return nil }
            var last = first
            let start = Int64(first) * Self.pieceBytes + state.present[first]
            while last + 1 < state.present.count, !state.claimed.contains(last + 1), state.present[last + 1] == 0, end(last) - start < limit {
                last += 1
            }
            state.claimed.formUnion(first...last)
            return start..<end(last)
        }
    }

    func giveBack(_ part: Range<Int64>) {
        state.withLock { state in
            for piece in Self.pieces(part) { state.claimed.remove(piece) }
        }
    }

    /// Puts bytes at their place. They follow on what is there already. May block.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try file.withOwned { try pwriteAll($0, bytes, at: offset) }
        let end = offset + Int64(bytes.count)
        let changes = state.withLock { state in
            var changes: [(piece: Int, count: Int64)] = []
            for piece in Self.pieces(offset..<end) {
                let start = Int64(piece) * Self.pieceBytes
                let count = min(end, start + Self.pieceBytes) - start
                guard offset <= start + state.present[piece], count > state.present[piece] else { continue }
                state.total += count - state.present[piece]
                state.present[piece] = count
                changes.append((piece, count))
            }
            state.prefix = Self.prefix(state.present, from: state.prefix, size)
            return changes
        }
        for change in changes {
            try withUnsafeBytes(of: change.count.littleEndian) { count in
                try map.withOwned { try pwriteAll($0, count, at: Int64(change.piece) * 8) }
            }
        }
    }

    /// Nothing more will come: the reader gets this error after what is there.
    func fail(_ error: any Error) {
        state.withLock { $0.failure = $0.failure ?? error }
    }

    // MARK: For the one who reads it

    /// Waits for bytes at a place; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        guard offset < size else { return 0 }
        let there = try state.wait { state -> Int64? in
            if state.prefix > offset { return state.prefix }
            if let failure = state.failure { throw failure }
            return nil
        }
        let count = Int(min(Int64(buffer.count), there - offset))
        let read = try file.withOwned { try pread($0, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), at: offset) }
        guard read > 0 else { throw ImageError.invalid("the file \(path) was cut off") }
        return read
    }

    // MARK: The map

    private static func pieces(_ part: Range<Int64>) -> ClosedRange<Int> {
        Int(part.lowerBound / pieceBytes)...Int(max(part.lowerBound, part.upperBound - 1) / pieceBytes)
    }

    private static func prefix(_ present: [Int64], from start: Int64, _ size: Int64) -> Int64 {
        var prefix = start
        while prefix < size {
            let piece = Int(prefix / pieceBytes)
            let end = Int64(piece) * pieceBytes + present[piece]
            if end <= prefix { break }
            prefix = end
        }
        return prefix
    }

    /// A map that does not fit the blob or its file says nothing.
    private static func readMap(_ map: SharedFD, _ count: Int, _ size: Int64, fileSize: Int64) throws -> [Int64] {
        var bytes = [UInt8](repeating: 0, count: count * 8 + 1)
        let read = try bytes.withUnsafeMutableBytes { buffer in try map.withOwned { try pread($0, into: buffer, at: 0) } }
        var present = [Int64](repeating: 0, count: count)
        guard read <= count * 8 else { return present }
        for piece in 0..<count where (piece + 1) * 8 <= read {
            let value = bytes.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(fromByteOffset: piece * 8, as: Int64.self)) }
            let start = Int64(piece) * pieceBytes
            guard value > 0, value <= min(pieceBytes, size - start), start + value <= fileSize else { continue }
            present[piece] = value
        }
        return present
    }
}

/// The bytes of a partial blob from the beginning on, as they come.
final class PartialBlobSource: ByteSource {
    private let blob: PartialBlob
    private let progress: @Sendable (Int64) -> Void
    private var position: Int64 = 0

    init(_ blob: PartialBlob, progress: @escaping @Sendable (Int64) -> Void) {
        self.blob = blob
        self.progress = progress
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = try blob.read(into: buffer, at: position)
        position += Int64(count)
        progress(position)
        return count
    }
}
