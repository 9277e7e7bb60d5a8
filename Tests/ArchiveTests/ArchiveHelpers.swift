import Archive
import CBzip2
import CLzma
import Linux
import SystemPackage

/// A folder that is gone after the body.
func withFolder<T>(_ body: (FilePath) throws -> T) throws -> T {
    let path = FilePath("/tmp/skiff-test-\(UInt64.random(in: .min ... .max))")
    try makeDirectories(path, mode: 0o755)
    let result = Result { try body(path) }
    try removeTree(path)
    return try result.get()
}

/// A tar of these entries; a file's content is given beside it.
func tar(_ entries: [(TarEntry, String)]) throws -> [UInt8] {
    let sink = MemorySink()
    let writer = TarWriter(sink)
    for (entry, content) in entries {
        if entry.kind == .file { try writer.write(entry, content: Array(content.utf8)) } else { try writer.begin(entry) }
    }
    try writer.finish()
    return sink.bytes
}

func file(_ path: String, mode: UInt32 = 0o644, _ content: String = "") -> (TarEntry, String) {
    (TarEntry(path: Array(path.utf8), kind: .file, mode: mode), content)
}

func folder(_ path: String, mode: UInt32 = 0o755) -> (TarEntry, String) {
    (TarEntry(path: Array(path.utf8), kind: .directory, mode: mode), "")
}

func link(_ path: String, to target: String, hard: Bool = false) -> (TarEntry, String) {
    (TarEntry(path: Array(path.utf8), kind: hard ? .hardLink : .symbolicLink, linkTarget: Array(target.utf8)), "")
}

/// Unpacks as the calling user, so that the tests need no root.
func unpack(_ bytes: [UInt8], to path: FilePath, limits: ArchiveLimits = ArchiveLimits()) throws {
    let me = try lstatIfExists(path)
    let options = ExtractionOptions(ownership: .fixed(uid: me?.uid ?? 0, gid: me?.gid ?? 0), makesDevices: false)
    let root = try OwnedFD.open(path, [.path, .directory])
    let extraction = try Extraction(into: root, options: options)
    try extraction.run(TarReader(decompressing(MemorySource(bytes), limits: limits), limits: limits))
}

func content(_ path: FilePath) throws -> String {
    let file = try OwnedFD.open(path, .readOnly)
    return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
}

func entries(_ bytes: [UInt8], limits: ArchiveLimits = ArchiveLimits()) throws -> [TarEntry] {
    let reader = TarReader(MemorySource(bytes), limits: limits)
    var entries: [TarEntry] = []
    while let entry = try reader.next() { entries.append(entry) }
    return entries
}

func compress(_ bytes: [UInt8], _ compression: Compression) throws -> [UInt8] {
    let sink = MemorySink()
    switch compression {
    case .none: return bytes
    case .gzip:
        let gzip = try GzipSink(sink)
        try bytes.withUnsafeBytes { try gzip.write($0) }
        try gzip.finish()
    case .zstd:
        let zstd = try ZstdSink(sink)
        try bytes.withUnsafeBytes { try zstd.write($0) }
        try zstd.finish()
    case .bzip2:
        var (packed, count) = ([CChar](repeating: 0, count: bytes.count + 1024), UInt32(bytes.count + 1024))
        var plain = bytes.map { CChar(bitPattern: $0) }
        guard BZ2_bzBuffToBuffCompress(&packed, &count, &plain, UInt32(plain.count), 1, 0, 0) == BZ_OK else {
            throw ArchiveError.malformed("cannot pack")
        }
        return packed.prefix(Int(count)).map { UInt8(bitPattern: $0) }
    case .xz:
        var (packed, count) = ([UInt8](repeating: 0, count: bytes.count + 1024), 0)
        guard lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nil, bytes, bytes.count, &packed, &count, packed.count) == LZMA_OK else {
            throw ArchiveError.malformed("cannot pack")
        }
        return Array(packed.prefix(count))
    }
    return sink.bytes
}
