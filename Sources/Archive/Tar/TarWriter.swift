import Linux

/// Writes a tar archive in the POSIX form, with an extended header only where the plain one does not do: the same entries
/// always give the same bytes. Owners are numbers, times are whole seconds.
public final class TarWriter {
    private let sink: BufferedSink
    private let frame: TarFrame?
    private var contentLeft: Int64 = 0
    private var padding = 0

    public init(_ sink: any ByteSink, frame: TarFrame? = nil) {
        self.sink = BufferedSink(sink)
        self.frame = frame
    }

    /// Begins an entry. For a file, exactly `entry.size` bytes have to follow before the next one.
    public func begin(_ entry: TarEntry) throws {
        precondition(contentLeft == 0, "the entry before is not complete")
        let records = paxRecords(entry)
        if !records.isEmpty {
            var header = TarEntry(path: paxName(entry), kind: .file, size: Int64(records.count))
            header.mode = 0o644
            try put(block(header, type: UInt8(ascii: "x")))
            try put(records + zeros(padding(after: Int64(records.count))))
        }
        try put(block(entry, type: TarHeader.type(entry.kind)))
        contentLeft = entry.kind == .file ? entry.size : 0
        padding = padding(after: contentLeft)
        if contentLeft == 0 { try endContent() }
    }

    /// A piece of the entry's content.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        try write(bytes, isKept: false)
    }

    /// An entry with its whole content.
    public func write(_ entry: TarEntry, content: [UInt8]) throws {
        var entry = entry
        entry.size = Int64(content.count)
        try begin(entry)
        try content.withUnsafeBytes { try write($0) }
    }

    /// Notes that the content of the entry just begun, which follows, is kept in a file.
    func keep(as file: TarFrame.File) throws {
        if contentLeft > 0 { try frame?.file(file, length: contentLeft) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, isKept: Bool) throws {
        precondition(Int64(bytes.count) <= contentLeft, "more content than the entry's size")
        if !isKept { try frame?.raw(bytes) }
        try sink.write(bytes)
        contentLeft -= Int64(bytes.count)
        if contentLeft == 0 { try endContent() }
    }

    var hasFrame: Bool { frame != nil }

    /// Writes the end mark and what is still in memory.
    public func finish() throws {
        precondition(contentLeft == 0, "the last entry is not complete")
        try put(zeros(2 * TarHeader.size))
        try sink.flush()
    }

    private func endContent() throws {
        try put(zeros(padding))
        padding = 0
    }

    private func put(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes {
            try frame?.raw($0)
            try sink.write($0)
        }
    }

    private func padding(after size: Int64) -> Int { Int((512 - size % 512) % 512) }

    private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

    // MARK: Headers

    private static let mostOctal7: Int64 = 0o7777777
    private static let mostOctal11: Int64 = 0o77777777777

    private func paxRecords(_ entry: TarEntry) -> [UInt8] {
        var records: [UInt8] = []
        if entry.linkTarget.count > 100 || !isASCII(entry.linkTarget) { append("linkpath", entry.linkTarget, &records) }
        if entry.path.count > 100 || !isASCII(entry.path) { append("path", entry.path, &records) }
        if entry.size > Self.mostOctal11 { append("size", Array("\(entry.size)".utf8), &records) }
        if Int64(entry.uid) > Self.mostOctal7 { append("uid", Array("\(entry.uid)".utf8), &records) }
        if Int64(entry.gid) > Self.mostOctal7 { append("gid", Array("\(entry.gid)".utf8), &records) }
        if !(0...Self.mostOctal11).contains(entry.modified.seconds) {
            append("mtime", Array("\(entry.modified.seconds)".utf8), &records)
        }
        for attribute in entry.attributes.sorted(by: { $0.name < $1.name }) {
            append("SCHILY.xattr.\(attribute.name)", attribute.value, &records)
        }
        return records
    }

    private func isASCII(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 < 0x80 } }

    /// The length at the front counts itself, so that it may need another digit because of its own digits.
    private func append(_ key: String, _ value: [UInt8], _ records: inout [UInt8]) {
        let rest = key.utf8.count + value.count + 3
        var length = rest + "\(rest)".utf8.count
        length = rest + "\(length)".utf8.count
        records += Array("\(length) \(key)=".utf8) + value + [UInt8(ascii: "\n")]
    }

    private func paxName(_ entry: TarEntry) -> [UInt8] {
        let last = entry.path.split(separator: UInt8(ascii: "/")).last ?? []
        return Array("PaxHeaders.0/".utf8) + last.filter { $0 < 0x80 }.prefix(80)
    }

    private func block(_ entry: TarEntry, type: UInt8) -> [UInt8] {
        var block = zeros(TarHeader.size)
        func put(_ bytes: some Collection<UInt8>, at start: Int, most: Int) {
            for (index, byte) in bytes.prefix(most).enumerated() { block[start + index] = byte }
        }
        func put(octal value: Int64, at start: Int, digits: Int) {
            let text = String(value, radix: 8)
            put(Array(repeating: UInt8(ascii: "0"), count: max(0, digits - text.utf8.count)) + text.utf8, at: start, most: digits)
        }
        put(entry.path, at: 0, most: 100)
        put(octal: Int64(entry.mode), at: 100, digits: 7)
        put(octal: Int64(entry.uid) > Self.mostOctal7 ? 0 : Int64(entry.uid), at: 108, digits: 7)
        put(octal: Int64(entry.gid) > Self.mostOctal7 ? 0 : Int64(entry.gid), at: 116, digits: 7)
        put(octal: entry.kind != .file || entry.size > Self.mostOctal11 ? 0 : entry.size, at: 124, digits: 11)
        let seconds = entry.modified.seconds
        put(octal: (0...Self.mostOctal11).contains(seconds) ? seconds : 0, at: 136, digits: 11)
        block[156] = type
        put(entry.linkTarget, at: 157, most: 100)
        put("ustar\u{0}00".utf8, at: 257, most: 8)
        put(octal: Int64(entry.deviceMajor), at: 329, digits: 7)
        put(octal: Int64(entry.deviceMinor), at: 337, digits: 7)
        let sum = block.reduce(Int64(8 * 32)) { $0 + Int64($1) }
        put(octal: sum, at: 148, digits: 6)
        block[155] = UInt8(ascii: " ")
        return block
    }
}
