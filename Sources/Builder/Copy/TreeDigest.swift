import Linux
import OCI
import Store

/// A digest of what `COPY` would copy: names, kinds, permissions, content; not the times.
struct TreeDigest {
    let walk: TreeWalk
    /// Each thing that was looked at with the beginning of its own digest, up to a limit: for telling what has changed.
    private(set) var listing: [String: String] = [:]
    static let mostListed = 1000
    private var hasher = DigestHasher()
    private var whole = DigestHasher()
    private var buffer = [UInt8](repeating: 0, count: 1 << 20)

    init(_ walk: TreeWalk) {
        self.walk = walk
    }

    /// Of one source.
    static func of(_ entry: SourceTree.Entry, _ walk: TreeWalk) throws -> Digest {
        try TreeDigest.listing(entry, walk).digest
    }

    static func listing(_ entry: SourceTree.Entry, _ walk: TreeWalk) throws -> (digest: Digest, files: [String: String]) {
        var digest = TreeDigest(walk)
        let place = try walk.tree.open(entry.path)
        let metadata = try fstat(place)
        try walk.tree.seen?.note(metadata)
        if entry.isDirectory {
            try digest.addChildren(of: try reopenDirectory(place), inTree: entry.path, inSource: "")
        } else {
            digest.add(entry.name)
            try digest.addFile(entry.path, metadata)
            digest.finishItem(entry.path)
        }
        return (digest.whole.finish(), digest.listing)
    }

    /// What was added since the last call belongs to this path.
    private mutating func finishItem(_ path: String) {
        let digest = hasher.finish()
        hasher = DigestHasher()
        let hex = digest.hex
        Array(hex.utf8).withUnsafeBytes { whole.update($0) }
        if listing.count < Self.mostListed { listing[path] = String(hex.prefix(12)) }
    }

    private mutating func add(_ text: String) {
        add(Array(text.utf8))
    }

    private mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        bytes.withUnsafeBytes { hasher.update($0) }
    }

    private mutating func add(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { hasher.update($0) }
    }

    private mutating func add(_ metadata: FileMetadata) {
        add("\(metadata.kind) \(metadata.permissions) \(metadata.deviceMajor):\(metadata.deviceMinor)")
        if walk.tree.keepsOwners { add("\(metadata.uid):\(metadata.gid)") }
    }

    /// A file that was named itself; a link to it was followed.
    private mutating func addFile(_ path: String, _ metadata: FileMetadata) throws {
        add(metadata)
        guard metadata.kind == .regular else { return }
        let file = try walk.tree.openContent(path)
        try addContent(file, size: metadata.size)
    }

    private mutating func addChildren(of directory: borrowing OwnedFD, inTree: String, inSource: String) throws {
        for item in try walk.items(in: directory, inTree: inTree, inSource: inSource) {
            let path = TreeWalk.join(inTree, item.name.description)
            if item.metadata.kind == .directory {
                if walk.includesItself(inTree: path, inSource: item.path) {
                    try addHead(item, in: directory)
                    finishItem(path)
                }
                let child = try openat(directory, item.name, [.readOnly, .directory, .noFollow])
                try addChildren(of: child, inTree: path, inSource: item.path)
                continue
            }
            try addHead(item, in: directory)
            switch item.metadata.kind {
            case .symbolicLink: add(try readlinkat(directory, item.name))
            case .regular:
                let file = try openat(directory, item.name, [.readOnly, .noFollow, .nonBlocking])
                try addContent(file, size: item.metadata.size)
            default: break
            }
            finishItem(path)
        }
    }

    private mutating func addHead(_ item: TreeWalk.Item, in directory: borrowing OwnedFD) throws {
        add(item.path)
        add(item.name.bytes)
        add(item.metadata)
        for attribute in try TreeWalk.attributes(in: directory, item.name) {
            add(attribute.name)
            add(attribute.value)
        }
    }

    private mutating func addContent(_ file: borrowing OwnedFD, size: Int64) throws {
        add(UInt64(clamping: size))
        var total: UInt64 = 0
        while true {
            try walk.stop.check()
            let count = try buffer.withUnsafeMutableBytes { try file.read(into: $0) }
            if count == 0 { break }
            total += UInt64(count)
            buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        add(total)
    }
}
