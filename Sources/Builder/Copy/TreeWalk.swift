import BuildContext
import Linux

/// Looks at everything below a source of `COPY` in a fixed order.
struct TreeWalk {
    var tree: SourceTree
    /// `--exclude`; paths are relative to the source.
    var excludes: IgnorePatterns?
    var stop: StopSign
    private static let maxDepth = 200

    init(tree: SourceTree, excludes: IgnorePatterns?, stop: StopSign) {
        self.tree = tree
        self.excludes = excludes
        self.stop = stop
    }

    /// One thing on the way. `directory` and `name` are where to find it; the path is for rules and messages.
    struct Item {
        var name: FileName
        var metadata: FileMetadata
        /// Relative to the source that is copied.
        var path: String
    }

    /// Names in a directory that take part, sorted by bytes, each with its metadata.
    /// - Parameters:
    ///   - inTree: the directory's path in the source tree
    ///   - inSource: the directory's path below the source that is copied; empty for the source itself
    func items(in directory: borrowing OwnedFD, inTree: String, inSource: String) throws -> [Item] {
        try stop.check()
        guard inSource.utf8.count(where: { $0 == UInt8(ascii: "/") }) < Self.maxDepth else {
            throw BuildError.failed("COPY failed: \(inSource.prefix(80))…: directories are nested too deeply")
        }
        var items: [Item] = []
        for name in try namesInDirectory(directory).sorted() {
            var metadata = try fstatat(directory, name)
            if metadata.kind == .socket || metadata.isWhiteout { continue }
            if tree.isBorrowed { guard Self.wouldBeSent(&metadata) else { continue } }
            let path = Self.join(inSource, name.description)
            let isDirectory = metadata.kind == .directory
            let isIn =
                takes(Self.join(inTree, name.description), isDirectory, tree.ignored)
                && takes(path, isDirectory, excludes)
            guard isIn else { continue }
            try tree.seen?.note(metadata)
            items.append(Item(name: name, metadata: metadata, path: path))
        }
        return items
    }

    /// Makes of a thing what it is in an archive that a client sends.
    private static func wouldBeSent(_ metadata: inout FileMetadata) -> Bool {
        metadata.modified.nanoseconds = 0
        return ![.characterDevice, .blockDevice, .fifo].contains(metadata.kind)
    }

    private func takes(_ path: String, _ isDirectory: Bool, _ rules: IgnorePatterns?) -> Bool {
        guard let rules else { return true }
        return isDirectory ? !rules.canPrune(path) : !rules.excludes(path)
    }

    /// Whether a directory takes part itself; one that only holds something that does is made when that comes.
    func includesItself(inTree: String, inSource: String) -> Bool {
        tree.includes(inTree) && !(excludes?.excludes(inSource) ?? false)
    }

    static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty || directory == "." ? name : directory + "/" + name
    }

    /// Attributes that are copied: what a program is allowed to do, and the user's own ones. The rest belongs to the host.
    static func attributes(in directory: borrowing OwnedFD, _ name: FileName) throws -> [(name: String, value: [UInt8])] {
        try xattrsat(directory, name).filter { $0.name == "security.capability" || $0.name.hasPrefix("user.") }
    }
}
