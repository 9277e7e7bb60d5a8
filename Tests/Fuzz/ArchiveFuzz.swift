import Foundation
import Linux
import SystemPackage

@testable import Archive

/// The entry that libFuzzer calls with each input: an archive from a stranger, plain or compressed with gzip or zstd. Any
/// answer is right that is not a trap and keeps to the limits. What was accepted has its frame make the same bytes again,
/// and its entries are written anew and read back as the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzArchive(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard let plain = try? decompressing(MemorySource(bytes), limits: limits).readAll(limit: mostBytes) else { return 0 }
    let frame = MemorySink()
    guard let entries = try? read(plain, frame) else { return 0 }
    precondition(reassembled(frame.bytes) == plain, "the frame makes another archive")
    roundTrip(entries)
    return 0
}

private let mostBytes = 1 << 22

private let limits: ArchiveLimits = {
    var limits = ArchiveLimits()
    limits.entries = 1000
    limits.totalBytes = Int64(mostBytes)
    limits.ratioFreeBytes = 1 << 20
    limits.headerBytes = 1 << 16
    limits.sparseSegments = 1000
    return limits
}()

private func read(_ plain: [UInt8], _ frame: MemorySink) throws -> [(TarEntry, [UInt8])] {
    let made = try TarFrame(frame)
    let reader = TarReader(MemorySource(plain), limits: limits, frame: made)
    var entries: [(TarEntry, [UInt8])] = []
    while let entry = try reader.next() {
        let content = try readContent(reader)
        let stored = entry.segments.map { $0.reduce(0) { $0 + $1.length } } ?? entry.size
        precondition(entry.kind != .file || Int64(content.count) == stored, "an entry has another size than it states")
        precondition(!entry.path.contains(0) && !entry.linkTarget.contains(0), "a zero byte in a name")
        entries.append((entry, content))
    }
    try made.finish()
    return entries
}

private func readContent(_ reader: TarReader) throws -> [UInt8] {
    var content: [UInt8] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 700, alignment: 16)
    defer { buffer.deallocate() }
    while case let count = try reader.read(into: buffer), count > 0 { content += buffer[..<count] }
    return content
}

/// No file is named in the frame, so any directory that is empty will do.
private let nowhere: FilePath = {
    var template = Array("/tmp/skiff-fuzz-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { fatalError("no directory") }
    return FilePath(String(cString: made))
}()

private func reassembled(_ frame: [UInt8]) -> [UInt8] {
    do {
        let sink = MemorySink()
        try reassembleTar(
            frame: MemorySource(frame), files: OwnedFD.open(nowhere, [.readOnly, .directory]),
            replaced: OwnedFD.open(nowhere, [.readOnly, .directory]), to: sink)
        return sink.bytes
    } catch {
        fatalError("the frame cannot be read: \(error)")
    }
}

private func roundTrip(_ entries: [(TarEntry, [UInt8])]) {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    var written: [(TarEntry, [UInt8])] = []
    do {
        for (entry, content) in entries where entry.segments == nil {
            // What cannot be written is refused; the writer has no use for an entry without a name.
            guard !entry.path.isEmpty else { continue }
            try writer.write(entry, content: content)
            written.append((entry, content))
        }
        try writer.finish()
        let reader = TarReader(MemorySource(sink.bytes))
        for (entry, content) in written {
            guard let again = try reader.next() else { fatalError("an entry got lost") }
            precondition(again.kind == entry.kind && again.uid == entry.uid && again.gid == entry.gid, "another kind or owner")
            precondition(again.mode == entry.mode && again.linkTarget == entry.linkTarget, "another mode or target")
            precondition(trimmed(again.path) == trimmed(entry.path), "another name")
            let same = try readContent(reader) == content
            precondition(same, "another content")
        }
        guard try reader.next() == nil else { fatalError("an entry too many") }
    } catch {
        fatalError("what was written cannot be read: \(error)")
    }
}

private func trimmed(_ path: [UInt8]) -> [UInt8] {
    Array(path.reversed().drop { $0 == UInt8(ascii: "/") }.reversed())
}
