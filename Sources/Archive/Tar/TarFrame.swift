public import Linux

/// A tar archive without the contents of its files, from which, together with the files, it can be made again byte for
/// byte:
///
/// ```
/// "SKFRAME1"
/// 'R'  length u32  bytes                                  bytes of the archive
/// 'F'  length u64  label u64  path length u32  path       so many bytes from the file of that path
/// ```
/// Numbers are little-endian. The label is the inode that the file got when it was unpacked: contents that a later entry
/// replaced are kept under that name.
public final class TarFrame {
    /// Where the content of an entry is kept.
    struct File {
        var path: [UInt8]
        var label: UInt64
    }

    static let magic = Array("SKFRAME1".utf8)
    static let rawMark = UInt8(ascii: "R")
    static let fileMark = UInt8(ascii: "F")

    private let sink: BufferedSink
    private var pending: [UInt8] = []

    public init(_ sink: any ByteSink) throws {
        self.sink = BufferedSink(sink, capacity: 1 << 16)
        try put(Self.magic)
    }

    func raw(_ bytes: UnsafeRawBufferPointer) throws {
        pending.append(contentsOf: bytes)
        if pending.count >= 1 << 16 { try putPending() }
    }

    func file(_ file: File, length: Int64) throws {
        try putPending()
        var record = [Self.fileMark]
        record += littleEndian(UInt64(length)) + littleEndian(file.label) + littleEndian(UInt32(file.path.count))
        try put(record + file.path)
    }

    /// Writes what is left.
    public func finish() throws {
        try putPending()
        try sink.flush()
    }

    private func putPending() throws {
        guard !pending.isEmpty else { return }
        try put([Self.rawMark] + littleEndian(UInt32(pending.count)))
        try put(pending)
        pending.removeAll(keepingCapacity: true)
    }

    private func put(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try sink.write($0) }
    }

    private func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}

/// Makes the archive again from its frame and the files.
public func reassembleTar(
    frame: any ByteSource, files: borrowing OwnedFD, replaced: borrowing OwnedFD, to sink: any ByteSink
) throws {
    let input = BufferedSource(frame)
    let kept = Set(try namesInDirectory(replaced))
    try takeMagic(input)
    while let record = try takeRecord(input) {
        switch record {
        case .raw(let length): try copy(length, from: input, to: sink)
        case .file(let file, let length):
            let label = try FileName("\(file.label)")
            let opened =
                try kept.contains(label)
                ? openat(replaced, label, .readOnly) : openFile(pathComponents(file.path)[...], root: files)
            try copy(length, from: FileSource(SharedFD(opened)), to: sink)
        }
    }
}

/// The length of the archive that a frame describes.
public func reassembledLength(frame: any ByteSource) throws -> Int64 {
    let input = BufferedSource(frame)
    var total: Int64 = 0
    try takeMagic(input)
    while let record = try takeRecord(input) {
        switch record {
        case .raw(let length):
            try copy(length, from: input, to: Nowhere())
            total += length
        case .file(_, let length): total += length
        }
    }
    return total
}

private enum FrameRecord {
    case raw(Int64)
    case file(TarFrame.File, length: Int64)
}

private final class Nowhere: ByteSink {
    func write(_ bytes: UnsafeRawBufferPointer) throws {}
}

private func takeMagic(_ input: BufferedSource) throws {
    guard try takeBytes(TarFrame.magic.count, input) == TarFrame.magic else {
        throw ArchiveError.malformed("not the frame of a layer")
    }
}

/// Nil at the end. The bytes of a raw record come next in the input.
private func takeRecord(_ input: BufferedSource) throws -> FrameRecord? {
    guard let mark = try input.peek(1).first else { return nil }
    input.skip(1)
    switch mark {
    case TarFrame.rawMark: return .raw(Int64(try takeNumber(UInt32.self, input)))
    case TarFrame.fileMark:
        let length = Int64(clamping: try takeNumber(UInt64.self, input))
        let label = try takeNumber(UInt64.self, input)
        let path = try takeBytes(Int(try takeNumber(UInt32.self, input)), input)
        return .file(TarFrame.File(path: path, label: label), length: length)
    default: throw ArchiveError.malformed("not the frame of a layer")
    }
}

private func takeBytes(_ count: Int, _ input: BufferedSource) throws -> [UInt8] {
    guard count <= 1 << 16 else { throw ArchiveError.malformed("not the frame of a layer") }
    let bytes = Array(try input.peek(count))
    guard bytes.count == count else { throw ArchiveError.malformed("the frame of a layer ends early") }
    input.skip(count)
    return bytes
}

private func takeNumber<T: FixedWidthInteger>(_ type: T.Type, _ input: BufferedSource) throws -> T {
    let bytes = try takeBytes(MemoryLayout<T>.size, input)
    return T(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(as: T.self) })
}

private func copy(_ length: Int64, from source: any ByteSource, to sink: any ByteSink) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(clamping: Swift.min(length, 1 << 20)), alignment: 16)
    defer { buffer.deallocate() }
    var left = length
    while left > 0 {
        let count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: left))))
        if count == 0 { throw ArchiveError.malformed("a file of a layer is shorter than it was") }
        try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        left -= Int64(count)
    }
}
