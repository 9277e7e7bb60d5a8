public import Linux
import SystemPackage

/// Goes through the files of a tree that a stranger has made, directories in the order of their names. Links are not followed.
public enum FileWalk {
    /// More than any tree has that was made to be used.
    private static let mostDepth = 200

    /// A file, as the walk comes to it.
    public struct Item: Sendable {
        public let name: FileName
        /// From the top of the tree, without a slash in front.
        public let path: String
        public let metadata: FileMetadata
    }

    /// Calls the body for all that is no directory, with the directory that it is in.
    public static func run(_ root: borrowing OwnedFD, _ body: (borrowing OwnedFD, Item) throws -> Void) throws {
        try run(try reopenDirectory(root), "", depth: 0, body)
    }

    private static func run(
        _ directory: consuming OwnedFD, _ path: String, depth: Int, _ body: (borrowing OwnedFD, Item) throws -> Void
    ) throws {
        guard depth < mostDepth else { throw ImageError.invalid("\(path.prefix(80))…: directories are nested too deeply") }
        for name in try namesInDirectory(directory).sorted() {
            let metadata = try fstatat(directory, name)
            let below = path.isEmpty ? "\(name)" : "\(path)/\(name)"
            if metadata.kind == .directory {
                try run(try openat(directory, name, [.readOnly, .directory, .noFollow]), below, depth: depth + 1, body)
            } else {
                try body(directory, Item(name: name, path: below, metadata: metadata))
            }
        }
    }
}
