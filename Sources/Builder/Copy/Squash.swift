import Linux

/// Makes one layer of all that lies between a base and a root: what is new or different is copied, what is gone becomes a
/// white-out.
struct Squash {
    private var copy: TreeCopy
    private let stop: StopSign

    /// - Parameters:
    ///   - root: with all layers
    ///   - target: an empty directory, which becomes the layer
    static func run(root: OpenDirectory, base: OpenDirectory, target: OpenDirectory, _ stop: StopSign) throws {
        let walk = TreeWalk(
            tree: SourceTree(root: root, ignored: nil, keepsOwners: true), excludes: nil, stop: stop)
        var squash = Squash(copy: TreeCopy(walk: walk, target: target, owner: nil, permissions: nil), stop: stop)
        let below = OpenDirectory(try reopenDirectory(base.fd))
        _ = try squash.merge("", try reopenDirectory(root.fd), below, to: try reopenDirectory(target.fd))
    }

    /// - Returns: whether anything is different.
    private mutating func merge(_ path: String, _ source: borrowing OwnedFD, _ base: OpenDirectory?, to target: borrowing OwnedFD)
        throws -> Bool
    {
        try stop.check()
        var isDifferent = false
        let names = try namesInDirectory(source).sorted()
        for name in names {
            let item = TreeWalk.Item(name: name, metadata: try fstatat(source, name), path: "\(path)/\(name)")
            let before = try base.flatMap { try fstatatIfExists($0.fd, name) }
            switch item.metadata.kind {
            case .socket: continue
            case .directory:
                let below = before?.kind == .directory ? try base.map { try Self.open(name, in: $0) } : nil
                if try mergeDirectory(item, source, before, below, to: target) { isDifferent = true }
            default:
                if let before, Self.isSame(item.metadata, before) { continue }
                try copy.copyItem(item, from: source, to: target, item.path)
                isDifferent = true
            }
        }
        let present = Set(names)
        for name in try base.map({ try namesInDirectory($0.fd) }) ?? [] where !present.contains(name) {
            try mknodat(target, name, kind: .characterDevice, mode: 0, major: 0, minor: 0)
            isDifferent = true
        }
        return isDifferent
    }

    private mutating func mergeDirectory(
        _ item: TreeWalk.Item, _ source: borrowing OwnedFD, _ before: FileMetadata?, _ base: OpenDirectory?, to target: borrowing OwnedFD
    ) throws -> Bool {
        try mkdirat(target, item.name, mode: 0o700)
        let made = try openat(target, item.name, [.readOnly, .directory, .noFollow])
        let child = try openat(source, item.name, [.readOnly, .directory, .noFollow])
        let isDifferent = try merge(item.path, child, base, to: made)
        if !isDifferent, let before, base != nil, Self.hasSameRights(item.metadata, before) {
            try unlinkat(target, item.name, directory: true)
            return false
        }
        // After all that was put into it, which changes its time.
        try copy.finish(item, from: source, in: target)
        return true
    }

    private static func open(_ name: FileName, in directory: OpenDirectory) throws -> OpenDirectory {
        OpenDirectory(try openat(directory.fd, name, [.readOnly, .directory, .noFollow]))
    }

    /// Overlays show the inodes of the layers, so that a file that nobody touched has one number in both.
    private static func isSame(_ one: FileMetadata, _ other: FileMetadata) -> Bool {
        one.kind == other.kind && one.inode == other.inode && one.size == other.size && hasSameRights(one, other)
    }

    private static func hasSameRights(_ one: FileMetadata, _ other: FileMetadata) -> Bool {
        one.permissions == other.permissions && one.uid == other.uid && one.gid == other.gid && one.modified == other.modified
    }
}
