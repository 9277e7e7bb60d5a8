import BuildContext
import Linux
import OCI
import Store
import SystemPackage

/// One `COPY` or `ADD` with its variables expanded: finds what it copies, names it by a digest, writes it.
struct CopyJob: Sendable {
    var keyword: String
    var sources: [String]
    /// Absolute; a slash at the end was kept.
    var destination: String
    var chown: String?
    var mode: ModeChange?
    /// Files that stand in the Dockerfile itself.
    var files: [InlineFile] = []
    var excludes: IgnorePatterns?
    /// `--unpack`; nil: archives of the context are extracted by `ADD`, files from the web are not.
    var unpacks: Bool?
    var keepsParents = false
    var tree: SourceTree
    /// Sources that are not in the tree.
    var remotes: [RemoteSource] = []

    struct InlineFile: Sendable {
        var name: String
        var content: [UInt8]
    }

    /// What was found, and its digest.
    struct Found: Sendable {
        var entries: [SourceTree.Entry]
        /// "file:<hex>", "dir:<hex>" or "multi:<hex>", as history shows it.
        var digest: String
        /// The files by path, each with the beginning of its digest; not all of very many.
        var files: [String: String] = [:]
    }

    // MARK: Finding

    func find(_ stop: StopSign) throws -> Found {
        let walk = TreeWalk(tree: tree, excludes: excludes, stop: stop)
        var entries: [SourceTree.Entry] = []
        for word in sources {
            entries += keepsParents ? try tree.entriesWithParents(matching: word) : try tree.entries(matching: word)
        }
        let count = entries.count + files.count + remotes.count
        if count == 0 { throw BuildError.failed("\(keyword) failed: no source files were specified") }
        if count > 1 && !namesDirectory {
            throw BuildError.failed(
                "When using \(keyword) with more than one source file, the destination must be a directory and end with a /")
        }
        entries.removeAll { !$0.isDirectory && excludes?.excludes($0.name) == true }
        var listed: [String: String] = [:]
        var digests = try entries.map { entry in
            let (digest, files) = try TreeDigest.listing(entry, walk)
            if listed.count < TreeDigest.mostListed { listed.merge(files) { $1 } }
            return keepsParents ? try withParents(digest.hex, entry) : digest.hex
        }
        for file in files {
            digests.append(Digest.sha256(of: Array(file.name.utf8) + [0] + file.content).hex)
        }
        digests += remotes.map(\.digest)
        if count == 1, digests.count == 1 {
            let isDirectory = entries.first?.isDirectory ?? remotes.first?.isDirectory ?? false
            return Found(entries: entries, digest: (isDirectory ? "dir:" : "file:") + digests[0], files: listed)
        }
        let all = Digest.sha256(of: Array(digests.joined(separator: ",").utf8))
        return Found(entries: entries, digest: "multi:" + all.hex, files: listed)
    }

    /// Where a source goes and what its directories look like is a part of what is copied.
    private func withParents(_ digest: String, _ entry: SourceTree.Entry) throws -> String {
        var text = digest + " " + entry.parents
        var path = entry.base
        for part in entry.parents.split(separator: "/") {
            path = TreeWalk.join(path, String(part))
            let metadata = try fstat(try tree.open(path))
            try tree.seen?.note(metadata)
            text += " \(metadata.permissions)" + (tree.keepsOwners ? " \(metadata.uid):\(metadata.gid)" : "")
        }
        return Digest.sha256(of: Array(text.utf8)).hex
    }

    private var namesDirectory: Bool {
        destination.hasSuffix("/") || destination.hasSuffix("/.")
    }

    // MARK: Writing

    /// - Parameter names: the root in which the names of `--chown` are looked up.
    func write(_ found: Found, _ fetched: [RemoteSource.Fetched], to target: OpenDirectory, names: OpenDirectory, _ stop: StopSign) throws {
        let walk = TreeWalk(tree: tree, excludes: excludes, stop: stop)
        let named = try chown.map { try Ownership($0, root: names) }
        let owner = named ?? (tree.keepsOwners ? nil : .root)
        var copy = TreeCopy(walk: walk, target: target, owner: owner, permissions: mode)
        let path = CleanPath.clean(destination)
        for entry in found.entries {
            if keepsParents {
                try copy.makeParents(entry.parents, of: entry.base, in: path)
                let place = path + (path == "/" || entry.parents.isEmpty ? "" : "/") + entry.parents
                if entry.isDirectory {
                    try copy.copyDirectory(entry, to: place)
                } else {
                    try copy.copyFile(entry, to: place + (place == "/" ? "" : "/") + entry.name)
                }
            } else if entry.isDirectory {
                try copy.copyDirectory(entry, to: path)
            } else if extracts(unlessTold: true), let archive = try ArchiveSource(entry, in: tree) {
                try archive.extract(into: try copy.makeDirectories(path), owner: named)
            } else {
                try copy.copyFile(entry, to: try filePath(path, entry.name, copy))
            }
        }
        for file in files {
            try copy.write(file.content, to: try filePath(path, file.name, copy))
        }
        for item in fetched { try write(item, to: target, path, named, stop) }
    }

    private func write(_ item: RemoteSource.Fetched, to target: OpenDirectory, _ path: String, _ named: Ownership?, _ stop: StopSign) throws {
        let walk = TreeWalk(tree: item.tree, excludes: excludes, stop: stop)
        var copy = TreeCopy(walk: walk, target: target, owner: named ?? .root, permissions: mode)
        if item.entry.isDirectory {
            try copy.copyDirectory(item.entry, to: path)
        } else if extracts(unlessTold: false), let archive = try ArchiveSource(item.entry, in: item.tree) {
            try archive.extract(into: try copy.makeDirectories(path), owner: named)
        } else {
            try copy.copyFile(item.entry, to: try filePath(path, item.entry.name, copy))
        }
    }

    private func extracts(unlessTold standard: Bool) -> Bool {
        keyword == "ADD" && (unpacks ?? standard)
    }

    /// A file goes into a directory under its own name, otherwise it gets the destination's name.
    private func filePath(_ path: String, _ name: String, _ copy: TreeCopy) throws -> String {
        guard try namesDirectory || copy.isDirectory(path) else { return path }
        return path == "/" ? "/" + name : path + "/" + name
    }
}
