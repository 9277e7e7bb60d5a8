import Linux

/// Reads a tar archive from front to back: POSIX with extended headers, GNU with long names and sparse files, and the old
/// form. Everything in it is bounded by the limits; whatever is wrong is an error, never a guess.
public final class TarReader {
    private let source: BufferedSource
    private let limits: ArchiveLimits
    private let frame: TarFrame?

    private var entries = 0
    /// Of all kinds: extended ones cost time as well.
    private var headers = 0
    private var totalBytes: Int64 = 0
    /// Of the present entry's content.
    private var contentLeft: Int64 = 0
    private var padding = 0
    private var ended = false

    public init(_ source: any ByteSource, limits: ArchiveLimits = ArchiveLimits(), frame: TarFrame? = nil) {
        self.source = (source as? BufferedSource) ?? BufferedSource(source)
        self.limits = limits
        self.frame = frame
    }

    /// The next entry, or nil at the end. What is left of the content of the one before is skipped.
    public func next() throws -> TarEntry? {
        try skipContent()
        var extensions = Extensions()
        while !ended {
            guard let block = try readBlock() else { return try end(extensions) }
            if block.withUnsafeBytes({ TarHeader.isZero($0) }) {
                try readToEnd()
                return try end(extensions)
            }
            try block.withUnsafeBytes { try TarHeader.verify($0) }
            headers += 1
            guard headers / 4 <= limits.entries else { throw ArchiveError.tooLarge("more than \(limits.entries) entries") }
            let size = try block.withUnsafeBytes { try TarHeader.number($0, 124, 12) }
            switch block[156] {
            case UInt8(ascii: "x"): extensions.pax = try PaxRecords(parsing: readMeta(size))
            case UInt8(ascii: "g"): _ = try readMeta(size)  // For all entries: nobody sets there what we use.
            case UInt8(ascii: "L"): extensions.path = Array(try readMeta(size).prefix { $0 != 0 })
            case UInt8(ascii: "K"): extensions.link = Array(try readMeta(size).prefix { $0 != 0 })
            default:
                if let entry = try entry(block, stated: size, extensions) { return entry }
                try skipContent()
                extensions = Extensions()
            }
        }
        return nil
    }

    /// Fills the buffer with content of the present entry; 0 is its end. Holes of a sparse file are not in it.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard contentLeft > 0, !buffer.isEmpty else { return 0 }
        let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: contentLeft)))
        let count = try source.read(into: wanted)
        if count == 0 { throw ArchiveError.malformed("tar: unexpected end") }
        contentLeft -= Int64(count)
        try frame?.raw(UnsafeRawBufferPointer(rebasing: wanted[..<count]))
        return count
    }

    /// Passes the whole content of the present entry to `body`. With `file` the frame only notes where it is kept.
    func forEachPiece(keptAs file: TarFrame.File?, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        if let file { try frame?.file(file, length: contentLeft) }
        while contentLeft > 0 {
            let piece = UnsafeRawBufferPointer(rebasing: try source.available().prefix(Int(clamping: contentLeft)))
            if piece.isEmpty { throw ArchiveError.malformed("tar: unexpected end") }
            if file == nil { try frame?.raw(piece) }
            try body(piece)
            source.skip(piece.count)
            contentLeft -= Int64(piece.count)
        }
    }

    /// Whether the archive's bytes are noted down for giving them back later.
    var hasFrame: Bool { frame != nil }

    // MARK: Headers

    /// What stood before an entry and belongs to it.
    private struct Extensions {
        var pax: PaxRecords?
        var path: [UInt8]?
        var link: [UInt8]?

        var isEmpty: Bool { pax == nil && path == nil && link == nil }
    }

    private func end(_ extensions: Extensions) throws -> TarEntry? {
        guard extensions.isEmpty else { throw ArchiveError.malformed("tar: extended header without an entry") }
        ended = true
        return nil
    }

    private func entry(_ block: [UInt8], stated: Int64, _ extensions: Extensions) throws -> TarEntry? {
        entries += 1
        guard entries <= limits.entries else { throw ArchiveError.tooLarge("more than \(limits.entries) entries") }
        let stored = try extensions.pax?.number("size") ?? stated
        guard stored >= 0, stored <= limits.totalBytes else { throw ArchiveError.malformed("tar: size of an entry") }
        guard let kind = TarHeader.kind(block[156]) else {
            guard TarHeader.isRemark(block[156]) else { throw ArchiveError.malformed("tar: entry of unknown type \(block[156])") }
            beginContent(stored)
            return nil
        }
        var entry = try block.withUnsafeBytes { try Self.basicEntry($0, kind) }
        if let path = extensions.path { entry.path = path }
        if let link = extensions.link { entry.linkTarget = link }
        if let pax = extensions.pax { try apply(pax, to: &entry) }
        guard entry.path.count <= limits.pathBytes, entry.linkTarget.count <= limits.pathBytes else {
            throw ArchiveError.tooLarge("a name of more than \(limits.pathBytes) bytes")
        }
        guard !entry.path.contains(0), !entry.linkTarget.contains(0) else {
            throw ArchiveError.malformed("tar: zero byte in a name")
        }
        // Old archives mark a directory by the slash at the end of its name.
        if kind == .file, entry.path.last == UInt8(ascii: "/") { entry.kind = .directory }
        beginContent(kind == .file || block[156] == UInt8(ascii: "D") ? stored : 0)
        if entry.kind == .file {
            entry.size = stored
            try readSparse(block, extensions.pax, &entry)
            totalBytes += entry.size
            guard totalBytes <= limits.totalBytes else {
                throw ArchiveError.tooLarge("more than \(limits.totalBytes) bytes in all")
            }
        }
        return entry
    }

    private static func basicEntry(_ block: UnsafeRawBufferPointer, _ kind: TarEntry.Kind) throws -> TarEntry {
        var path = TarHeader.text(block, 0, 100)
        if TarHeader.isPOSIX(block), !TarHeader.isGNU(block) {
            let prefix = TarHeader.text(block, 345, 155)
            if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
        }
        let isDevice = kind == .characterDevice || kind == .blockDevice
        return TarEntry(
            path: path, kind: kind, mode: UInt32(truncatingIfNeeded: try TarHeader.number(block, 100, 8)) & 0o7777,
            uid: try TarHeader.owner(TarHeader.number(block, 108, 8)),
            gid: try TarHeader.owner(TarHeader.number(block, 116, 8)),
            modified: .init(seconds: try TarHeader.number(block, 136, 12)), linkTarget: TarHeader.text(block, 157, 100),
            deviceMajor: isDevice ? UInt32(truncatingIfNeeded: try TarHeader.number(block, 329, 8)) : 0,
            deviceMinor: isDevice ? UInt32(truncatingIfNeeded: try TarHeader.number(block, 337, 8)) : 0)
    }

    private func apply(_ pax: PaxRecords, to entry: inout TarEntry) throws {
        if let path = pax["path"], !path.isEmpty { entry.path = Array(path) }
        if let link = pax["linkpath"], !link.isEmpty { entry.linkTarget = Array(link) }
        if let uid = try pax.number("uid") { entry.uid = try TarHeader.owner(uid) }
        if let gid = try pax.number("gid") { entry.gid = try TarHeader.owner(gid) }
        if let modified = try pax.time("mtime") { entry.modified = modified }
        entry.attributes = try pax.attributes(limit: limits.attributes)
    }

    // MARK: Sparse files

    private func readSparse(_ block: [UInt8], _ pax: PaxRecords?, _ entry: inout TarEntry) throws {
        if let pax, let map = try paxSparse(pax) {
            if let name = pax["GNU.sparse.name"] { entry.path = Array(name) }
            entry.size = try pax.number("GNU.sparse.realsize") ?? pax.number("GNU.sparse.size") ?? entry.size
            entry.segments = map
        } else if block[156] == UInt8(ascii: "S") {
            entry.segments = try gnuSparse(block)
            entry.size = try block.withUnsafeBytes { try TarHeader.number($0, 483, 12) }
        }
        if let segments = entry.segments { try check(segments, size: entry.size) }
    }

    /// Version 1.0 has the map before the content, 0.1 as one value, 0.0 as many.
    private func paxSparse(_ pax: PaxRecords) throws -> [SparseSegment]? {
        if pax["GNU.sparse.major"]?.elementsEqual("1".utf8) == true { return try sparseMapInContent() }
        if let map = pax["GNU.sparse.map"] {
            return try segments(map.split(separator: UInt8(ascii: ",")).map(decimal))
        }
        guard pax["GNU.sparse.numblocks"] != nil else { return nil }
        let numbers = pax.values.filter { $0.key == "GNU.sparse.offset" || $0.key == "GNU.sparse.numbytes" }
        return try segments(numbers.map { decimal($0.value) })
    }

    /// Lines with decimal numbers: how many segments, then offset and length of each; filled up to a block.
    private func sparseMapInContent() throws -> [SparseSegment] {
        var line: [UInt8] = []
        var numbers: [Int64?] = []
        var wanted = 1
        while numbers.count < wanted {
            guard contentLeft >= Int64(TarHeader.size) else { throw ArchiveError.malformed("tar: sparse map") }
            var block = [UInt8](repeating: 0, count: TarHeader.size)
            try block.withUnsafeMutableBytes { try readFully(into: $0) }
            for byte in block where numbers.count < wanted {
                guard byte == UInt8(ascii: "\n") else {
                    line.append(byte)
                    if line.count > 20 { throw ArchiveError.malformed("tar: sparse map") }
                    continue
                }
                numbers.append(decimal(line))
                line = []
                if numbers.count == 1, let count = numbers[0] {
                    guard count <= limits.sparseSegments else { throw ArchiveError.tooLarge("sparse map") }
                    wanted = 1 + 2 * Int(count)
                }
            }
        }
        return try segments(numbers.dropFirst())
    }

    /// Four segments in the header, 21 in each block that follows as long as the one before says so.
    private func gnuSparse(_ header: [UInt8]) throws -> [SparseSegment] {
        var found: [SparseSegment] = []
        var (block, start, count, more) = (header, 386, 4, header[482] != 0)
        while true {
            try block.withUnsafeBytes { bytes in
                for index in 0..<count where bytes[start + index * 24] != 0 {
                    found.append(
                        SparseSegment(
                            offset: try TarHeader.number(bytes, start + index * 24, 12),
                            length: try TarHeader.number(bytes, start + index * 24 + 12, 12)))
                }
            }
            guard found.count <= limits.sparseSegments else { throw ArchiveError.tooLarge("sparse map") }
            guard more else { return found }
            guard let next = try readBlock() else { throw ArchiveError.malformed("tar: unexpected end") }
            (block, start, count, more) = (next, 0, 21, next[504] != 0)
        }
    }

    private func segments(_ numbers: some Collection<Int64?>) throws -> [SparseSegment] {
        let known = numbers.compactMap(\.self)
        guard known.count == numbers.count, known.count.isMultiple(of: 2), known.count / 2 <= limits.sparseSegments else {
            throw ArchiveError.malformed("tar: sparse map")
        }
        return stride(from: 0, to: known.count, by: 2).map { SparseSegment(offset: known[$0], length: known[$0 + 1]) }
    }

    private func check(_ segments: [SparseSegment], size: Int64) throws {
        var (end, stored): (Int64, Int64) = (0, 0)
        for segment in segments {
            guard segment.offset >= end, segment.length >= 0, segment.length <= size, segment.offset <= size - segment.length
            else { throw ArchiveError.malformed("tar: sparse map") }
            end = segment.offset + segment.length
            stored += segment.length
        }
        guard stored == contentLeft, size <= limits.totalBytes else { throw ArchiveError.malformed("tar: sparse map") }
    }

    // MARK: Bytes

    private func beginContent(_ size: Int64) {
        contentLeft = size
        padding = Int((512 - size % 512) % 512)
    }

    private func readFully(into buffer: UnsafeMutableRawBufferPointer) throws {
        var rest = buffer
        while !rest.isEmpty {
            let count = try read(into: rest)
            if count == 0 { throw ArchiveError.malformed("tar: unexpected end") }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        }
    }

    private func skipContent() throws {
        try forEachPiece(keptAs: nil) { _ in }
        while padding > 0 {
            let piece = UnsafeRawBufferPointer(rebasing: try source.available().prefix(padding))
            // The very last entry may lack its padding.
            if piece.isEmpty { return padding = 0 }
            try frame?.raw(piece)
            source.skip(piece.count)
            padding -= piece.count
        }
    }

    /// A block, or nil at the end of the stream.
    private func readBlock() throws -> [UInt8]? {
        let block = try source.peek(TarHeader.size)
        if block.isEmpty { return nil }
        guard block.count == TarHeader.size else { throw ArchiveError.malformed("tar: unexpected end") }
        try frame?.raw(block)
        let copy = Array(block)
        source.skip(TarHeader.size)
        return copy
    }

    private func readMeta(_ size: Int64) throws -> [UInt8] {
        guard size >= 0, size <= limits.headerBytes else {
            throw ArchiveError.tooLarge("an extended header of more than \(limits.headerBytes) bytes")
        }
        beginContent(size)
        var bytes = [UInt8](repeating: 0, count: Int(size))
        try bytes.withUnsafeMutableBytes { try readFully(into: $0) }
        try skipContent()
        return bytes
    }

    /// What follows the end mark still belongs to the stream, and to its digest.
    private func readToEnd() throws {
        while case let piece = try source.available(), !piece.isEmpty {
            try frame?.raw(piece)
            source.skip(piece.count)
        }
    }
}
