import Archive
import Linux
import SystemPackage

/// A file of the context that `ADD` unpacks instead of copying it: a tar archive, recognised by what is in it.
struct ArchiveSource {
    private let source: any ByteSource

    /// - Returns: nil when the file is no archive.
    init?(_ entry: SourceTree.Entry, in tree: SourceTree) throws {
        guard try fstat(try tree.open(entry.path)).kind == .regular else { return nil }
        guard try Self.isTar(try Self.open(entry, tree)) else { return nil }
        source = try decompressing(try Self.open(entry, tree))
    }

    /// Owners are those in the archive unless one is given for all.
    func extract(into directory: consuming OwnedFD, owner: Ownership?) throws {
        var options = ExtractionOptions()
        if let owner { options.ownership = .fixed(uid: owner.uid, gid: owner.gid) }
        let extraction = try Extraction(into: directory, options: options)
        try extraction.run(TarReader(source))
    }

    /// As what a client sends: nothing in it means anything but files.
    func extractContext(into directory: consuming OwnedFD) throws {
        let options = ExtractionOptions(whiteouts: .asFiles, makesDevices: false)
        try Extraction(into: directory, options: options).run(TarReader(source))
    }

    private static func open(_ entry: SourceTree.Entry, _ tree: SourceTree) throws -> any ByteSource {
        FileSource(SharedFD(try tree.openContent(entry.path)))
    }

    /// Whether the first block is the header of a tar entry, packed or not.
    private static func isTar(_ source: any ByteSource) throws -> Bool {
        let packed = BufferedSource(source)
        let block: [UInt8]
        do {
            let unpacked = BufferedSource(try decompressing(packed))
            // What `peek` shows lives as long as its source.
            block = try withExtendedLifetime(unpacked) { Array(try unpacked.peek(512)) }
        } catch is ArchiveError {
            return false  // Packed, but not what it seems; then it is copied like any file.
        }
        return hasChecksum(block)
    }

    /// The header's sum is its only mark that every kind of tar has.
    private static func hasChecksum(_ block: [UInt8]) -> Bool {
        guard block.count == 512, block[0] != 0 else { return false }
        let field = block[148..<156].filter { UInt8(ascii: "0")...UInt8(ascii: "7") ~= $0 }
        let sum = block.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
        return !field.isEmpty && Int(String(decoding: field, as: UTF8.self), radix: 8) == sum
    }
}
