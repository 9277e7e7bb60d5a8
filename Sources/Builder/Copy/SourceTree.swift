import BuildContext
import Linux
import SystemPackage

/// Where `COPY` reads from: the context, a stage or an image. What the ignore file leaves out is not there.
struct SourceTree: Sendable {
    var root: OpenDirectory
    /// Rules of the context's ignore file; paths are relative to the root.
    var ignored: IgnorePatterns?
    /// Owners count only where files come from a stage or an image.
    var keepsOwners: Bool

    /// What `COPY` copies: one thing, found.
    struct Entry: Sendable {
        /// Relative to the root, as it was named; `.` is the root itself.
        var path: String
        var isDirectory: Bool

        /// The last part of the path.
        var name: String { path.split(separator: "/").last.map(String.init) ?? path }
    }

    /// Whether a path can be taken, apart from what lies below it.
    func includes(_ path: String) -> Bool {
        !(ignored?.excludes(path) ?? false)
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

    func paths(matching pattern: String) throws -> [String] {
        var paths = ["."]
        for part in pattern.split(separator: "/") {
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
