import BuildContext
import Linux
import OCI
import Store

/// One `COPY` or `ADD` with its variables expanded: finds what it copies, names it by a digest, writes it.
struct CopyJob: Sendable {
    var keyword: String
    var sources: [String]
    /// Absolute; a slash at the end was kept.
    var destination: String
    var chown: String?
    var permissions: UInt32?
    /// Files that stand in the Dockerfile itself.
    var files: [InlineFile] = []
    var excludes: IgnorePatterns?
    /// `ADD` extracts archives from the context unless told otherwise.
    var extracts: Bool
    var tree: SourceTree

    struct InlineFile: Sendable {
        var name: String
        var content: [UInt8]
    }

    /// What was found, and its digest.
    struct Found: Sendable {
        var entries: [SourceTree.Entry]
        /// "file:<hex>", "dir:<hex>" or "multi:<hex>", as history shows it.
        var digest: String
    }

    // MARK: Finding

    func find(_ stop: StopSign) throws -> Found {
        let walk = TreeWalk(tree: tree, excludes: excludes, stop: stop)
        var entries: [SourceTree.Entry] = []
        for word in sources { entries += try tree.entries(matching: word) }
        let count = entries.count + files.count
        if count == 0 { throw BuildError.failed("\(keyword) failed: no source files were specified") }
        if count > 1 && !namesDirectory {
            throw BuildError.failed(
                "When using \(keyword) with more than one source file, the destination must be a directory and end with a /")
        }
        var digests = try entries.map { try TreeDigest.of($0, walk).hex }
        for file in files {
            digests.append(Digest.sha256(of: Array(file.name.utf8) + [0] + file.content).hex)
        }
        if count == 1 {
            return Found(entries: entries, digest: (entries.first?.isDirectory == true ? "dir:" : "file:") + digests[0])
        }
        let all = Digest.sha256(of: Array(digests.joined(separator: ",").utf8))
        return Found(entries: entries, digest: "multi:" + all.hex)
    }

    private var namesDirectory: Bool {
        destination.hasSuffix("/") || destination.hasSuffix("/.")
    }

    // MARK: Writing

    func write(_ found: Found, to target: OpenDirectory, _ stop: StopSign) throws {
        let walk = TreeWalk(tree: tree, excludes: excludes, stop: stop)
        let named = try chown.map { try Ownership($0, root: target) }
        let owner = named ?? (tree.keepsOwners ? nil : .root)
        var copy = TreeCopy(walk: walk, target: target, owner: owner, permissions: permissions)
        let path = CleanPath.clean(destination)
        for entry in found.entries {
            if entry.isDirectory {
                try copy.copyDirectory(entry, to: path)
            } else if extracts, let archive = try ArchiveSource(entry, in: tree) {
                try archive.extract(into: try copy.makeDirectories(path), owner: named)
            } else {
                try copy.copyFile(entry, to: try filePath(path, entry.name, copy))
            }
        }
        for file in files {
            try copy.write(file.content, to: try filePath(path, file.name, copy))
        }
    }

    /// A file goes into a directory under its own name, otherwise it gets the destination's name.
    private func filePath(_ path: String, _ name: String, _ copy: TreeCopy) throws -> String {
        guard try namesDirectory || copy.isDirectory(path) else { return path }
        return path == "/" ? "/" + name : path + "/" + name
    }
}
