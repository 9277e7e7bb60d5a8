import BuildContext
import Linux
import SystemPackage

/// Where `COPY` reads from: the context, a stage or an image. What the ignore file leaves out is not there.
struct SourceTree: Sendable {
    var root: OpenDirectory
    /// Where the root is on the host, if it is a directory there.
    var directory: FilePath? = nil
    /// Rules of the context's ignore file; paths are relative to the root.
    var ignored: IgnorePatterns?
    /// Owners count only where files come from a stage or an image.
    var keepsOwners: Bool
    /// Somebody may write to it meanwhile, and nobody may here.
    var isBorrowed = false
    /// What was looked at, where it counts.
    var seen: SeenFiles? = nil

    /// What `COPY` copies: one thing, found.
    struct Entry: Sendable {
        /// Relative to the root, as it was named; `.` is the root itself.
        var path: String
        var isDirectory: Bool
        /// With `--parents`: the place in the tree that the destination stands for, and what lies between it and the entry.
        var base = ""
        var parents = ""

        /// The last part of the path.
        var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    }

    /// Whether a path can be taken, apart from what lies below it.
    func includes(_ path: String) -> Bool {
        !(ignored?.excludes(path) ?? false)
    }

    /// The tree for one step: of a borrowed one it will be known whether it has changed.
    func watched() throws(SystemError) -> SourceTree {
        var tree = self
        if isBorrowed { tree.seen = SeenFiles(device: try fstat(root.fd).device) }
        return tree
    }

    /// Opens a thing by name; links are followed inside the root.
    func open(_ path: String) throws(SystemError) -> OwnedFD {
        try PathInRoot.open("/" + path, root: root.fd, flags: [.path])
    }

    /// The things that a source word of `COPY` means; a word without wildcards means one, which has to exist.
    func entries(matching word: String) throws -> [Entry] {
        let path = CleanPath.relative(word)
        if !path.unicodeScalars.contains(where: { "*?[\\".unicodeScalars.contains($0) }) {
            guard let entry = try entry(path) else { throw missing(path) }
            return [entry]
        }
        let found = try SourceGlob(tree: self).paths(matching: path)
        return try found.compactMap { try entry($0) }
    }

    /// The same for `COPY --parents`: what stands behind `/./` keeps its directories. `**` stands for any of them.
    func entriesWithParents(matching word: String) throws -> [Entry] {
        var base = ""
        var rest = word
        if let pivot = word.firstRange(of: "/./") {
            base = CleanPath.relative(String(word[..<pivot.lowerBound]))
            rest = String(word[pivot.upperBound...])
        }
        let path = CleanPath.relative(rest)
        let pattern = TreeWalk.join(base, path)
        let isPattern = pattern.unicodeScalars.contains { "*?[\\".unicodeScalars.contains($0) }
        let found = isPattern ? try SourceGlob(tree: self).paths(matching: pattern, crossing: true) : [pattern]
        return try found.compactMap { found -> Entry? in
            guard var entry = try entry(found) else {
                if isPattern { return nil }
                throw missing(found)
            }
            // A pattern in front of the pivot has as many parts as what it matches.
            let depth = base == "" || base == "." ? 0 : base.split(separator: "/").count
            let parts = found.split(separator: "/").map(String.init)
            entry.base = depth == 0 ? "." : parts.prefix(depth).joined(separator: "/")
            entry.parents = parts.dropFirst(depth).dropLast(entry.isDirectory ? 0 : 1).filter { $0 != "." }.joined(separator: "/")
            return entry
        }
    }

    /// Opens a file to read it.
    func openContent(_ path: String) throws -> OwnedFD {
        let file = try PathInRoot.open("/" + path, root: root.fd, flags: [.readOnly, .nonBlocking])
        try seen?.note(try fstat(file))
        return file
    }

    private func missing(_ path: String) -> BuildError {
        let place = keepsOwners ? "file not found" : "file not found in build context or excluded by .dockerignore"
        return .failed("COPY failed: \(place): stat \(path): file does not exist")
    }

    private func entry(_ path: String) throws -> Entry? {
        guard let kind = try root.kind(of: "/" + path) else { return nil }
        let isDirectory = kind == .directory
        if !includes(path), !isDirectory || ignored?.canPrune(path) == true { return nil }
        return Entry(path: path, isDirectory: isDirectory)
    }
}

/// Wildcards in a source of `COPY`: each part of the path is compared with the names in one directory.
struct SourceGlob {
    var tree: SourceTree

    /// - Parameter crossing: `**` stands for any number of directories.
    func paths(matching pattern: String, crossing: Bool = false) throws -> [String] {
        var paths = ["."]
        let parts = pattern.split(separator: "/")
        for (index, part) in parts.enumerated() {
            if crossing, part == "**" {
                let all = try paths.flatMap { try descendants(of: $0, depth: 0) }
                paths = index == parts.count - 1 ? all.filter { $0 != "." } : all
                continue
            }
            let pattern = try namePattern(String(part))
            var next: [String] = []
            for directory in paths {
                for name in try names(in: directory) where pattern.matches(name) {
                    next.append(directory == "." ? name : directory + "/" + name)
                }
            }
            paths = next
        }
        return paths
    }

    /// A directory and all below it.
    private func descendants(of directory: String, depth: Int) throws -> [String] {
        guard depth < 200 else { throw BuildError.failed("COPY failed: directories are nested too deeply") }
        guard depth == 0 || tree.ignored?.canPrune(directory) != true else { return [] }
        var all = [directory]
        for name in try names(in: directory) {
            let path = directory == "." ? name : directory + "/" + name
            let isLink = try PathInRoot.open("/" + path, root: tree.root.fd, flags: [.path, .noFollow])
            all += try fstat(isLink).kind == .directory ? try descendants(of: path, depth: depth + 1) : [path]
        }
        return all
    }

    /// In one name a double star means no more than one.
    private func namePattern(_ text: String) throws -> PathPattern {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where !(scalar == "*" && scalars.last == "*") { scalars.append(scalar) }
        guard let pattern = PathPattern(String(scalars)) else {
            throw BuildError.failed("COPY failed: syntax error in pattern: \(GoQuote.quoted(text))")
        }
        return pattern
    }

    /// Sorted; names that are not text cannot be meant by a pattern.
    private func names(in directory: String) throws(SystemError) -> [String] {
        do {
            let opened = try PathInRoot.open("/" + directory, root: tree.root.fd, flags: [.readOnly, .directory])
            return try namesInDirectory(opened).compactMap { String(validating: $0.bytes, as: UTF8.self) }.sorted()
        } catch {
            if error.errno == .notDirectory || error.errno == .noSuchFileOrDirectory { return [] }
            throw error
        }
    }
}
