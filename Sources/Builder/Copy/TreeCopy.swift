import Linux
import SystemPackage

/// Writes what `COPY` found into a root.
struct TreeCopy {
    let walk: TreeWalk
    let target: OpenDirectory
    /// nil: owners as they are in the source.
    var owner: Ownership?
    /// `--chmod`; nil: permissions as they are in the source.
    var permissions: ModeChange?
    private var buffer = [UInt8](repeating: 0, count: 1 << 20)
    /// Names already written for files that have several, by device and inode, as paths in the target.
    private var linked: [FileKey: String] = [:]

    private struct FileKey: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    init(walk: TreeWalk, target: OpenDirectory, owner: Ownership?, permissions: ModeChange?) {
        self.walk = walk
        self.target = target
        self.owner = owner
        self.permissions = permissions
    }

    /// Copies the contents of a directory into a directory, which is made when it is missing.
    mutating func copyDirectory(_ entry: SourceTree.Entry, to destination: String) throws {
        let directory = try makeDirectories(destination)
        let source = try reopenDirectory(try walk.tree.open(entry.path))
        try walk.tree.seen?.note(try fstat(source))
        try copyChildren(of: source, inTree: entry.path, inSource: "", to: directory, destination)
    }

    /// Copies a file under a path; the directories in front of it are made when they are missing.
    mutating func copyFile(_ entry: SourceTree.Entry, to destination: String) throws {
        let place = try walk.tree.open(entry.path)
        var metadata = try fstat(place)
        try walk.tree.seen?.note(metadata)
        // As in an archive that a client sends.
        if walk.tree.isBorrowed { metadata.modified.nanoseconds = 0 }
        guard metadata.kind == .regular else {
            throw BuildError.failed("COPY failed: \(entry.path) is not a file or a directory")
        }
        let source = try walk.tree.openContent(entry.path)
        let (parent, name) = try prepare(destination)
        let file = try replace(parent.fd, name, destination)
        try copyContent(source, to: file)
        // A change of owner takes capabilities away.
        try finish(file, metadata)
        for attribute in try fxattrs(source)
        where attribute.name == "security.capability" || attribute.name.hasPrefix("user.") {
            try fsetxattr(file, attribute: attribute.name, value: attribute.value)
        }
    }

    /// Writes a file from memory, for a here-document.
    mutating func write(_ bytes: [UInt8], to destination: String) throws {
        let (parent, name) = try prepare(destination)
        let file = try replace(parent.fd, name, destination)
        try file.writeAll(bytes)
        let owner = owner ?? .root
        try fchown(file, uid: owner.uid, gid: owner.gid)
        try fchmod(file, mode: permissions?.applied(to: 0o644) ?? 0o644)
    }

    /// Makes the directories that a source lies in, each like the one it is named after, unless they are there.
    /// - Parameters:
    ///   - parents: relative to the place in the source that the destination stands for
    ///   - base: that place
    func makeParents(_ parents: String, of base: String, in destination: String) throws {
        var (inTree, inTarget) = (base, destination)
        for part in parents.split(separator: "/") {
            inTree = TreeWalk.join(inTree, String(part))
            inTarget += (inTarget == "/" ? "" : "/") + part
            if try target.kind(of: inTarget) != nil { continue }
            let made = try reopenDirectory(try makeDirectories(inTarget))
            let metadata = try fstat(try walk.tree.open(inTree))
            try walk.tree.seen?.note(metadata)
            try finish(made, metadata)
        }
    }

    /// Whether a path leads to a directory in the target.
    func isDirectory(_ path: String) throws -> Bool {
        try target.kind(of: path) == .directory
    }

    // MARK: Directories on the way

    /// The place of a file to write. A link there is followed inside the target, as a shell's `>` would.
    private func prepare(_ destination: String) throws -> (OpenDirectory, FileName) {
        var path = destination
        for _ in 0..<40 {
            let parts = path.split(separator: "/")
            guard let last = parts.last else { throw BuildError.failed("COPY failed: cannot copy to directory: /") }
            let directory = "/" + parts.dropLast().joined(separator: "/")
            let parent = OpenDirectory(try makeDirectories(directory))
            let name = try FileName(last)
            guard try fstatatIfExists(parent.fd, name)?.kind == .symbolicLink else { return (parent, name) }
            let link = String(decoding: try readlinkat(parent.fd, name), as: UTF8.self)
            path = link.utf8.first == UInt8(ascii: "/") ? link : directory + "/" + link
        }
        throw SystemError(errno: .tooManySymbolicLinkLevels, call: "copy to", subject: destination)
    }

    /// Makes what is missing of a path. New directories are 0755 and belong to the copy's owner.
    func makeDirectories(_ path: String) throws -> OwnedFD {
        var reached = ""
        for part in path.split(separator: "/") {
            reached += "/" + part
            switch try target.kind(of: reached) {
            case .directory?: continue
            case nil: try makeDirectory(reached)
            default: throw BuildError.failed("COPY failed: cannot copy to non-directory: \(reached)")
            }
        }
        return try PathInRoot.open(path.isEmpty ? "/" : path, root: target.fd, flags: [.path, .directory])
    }

    private func makeDirectory(_ path: String) throws {
        let place = try PathInRoot.makeDirectories(path, root: target.fd)
        let made = try reopenDirectory(place)
        let owner = owner ?? .root
        try fchown(made, uid: owner.uid, gid: owner.gid)
        try fchmod(made, mode: 0o755)
    }

    // MARK: The tree

    private mutating func copyChildren(
        of source: borrowing OwnedFD, inTree: String, inSource: String, to directory: borrowing OwnedFD,
        _ destination: String
    ) throws {
        for item in try walk.items(in: source, inTree: inTree, inSource: inSource) {
            let path = destination + (destination == "/" ? "" : "/") + item.name.description
            switch item.metadata.kind {
            case .directory:
                let inTree = TreeWalk.join(inTree, item.name.description)
                let child = try openat(source, item.name, [.readOnly, .directory, .noFollow])
                if try !walk.includesItself(inTree: inTree, inSource: item.path) && !hasAnything(child, inTree, item.path) {
                    continue
                }
                try makeDirectory(item, in: directory, path)
                let made = try openat(directory, item.name, [.path, .directory, .noFollow])
                try copyChildren(of: child, inTree: inTree, inSource: item.path, to: made, path)
                // Whoever writes into a directory changes its time.
                try finish(item, from: source, in: directory)
            default:
                try copyItem(item, from: source, to: directory, path)
            }
        }
    }

    /// Whether some file below a directory that is left out itself takes part.
    private func hasAnything(_ directory: borrowing OwnedFD, _ inTree: String, _ inSource: String) throws -> Bool {
        for item in try walk.items(in: directory, inTree: inTree, inSource: inSource) {
            let path = TreeWalk.join(inTree, item.name.description)
            if item.metadata.kind != .directory || walk.includesItself(inTree: path, inSource: item.path) { return true }
            let child = try openat(directory, item.name, [.readOnly, .directory, .noFollow])
            if try hasAnything(child, path, item.path) { return true }
        }
        return false
    }

    /// One that exists keeps what is in it.
    private func makeDirectory(_ item: TreeWalk.Item, in directory: borrowing OwnedFD, _ path: String) throws {
        if let existing = try fstatatIfExists(directory, item.name) {
            guard existing.kind == .directory else {
                throw BuildError.failed("COPY failed: cannot copy to non-directory: \(path)")
            }
            return
        }
        try mkdirat(directory, item.name, mode: 0o700)
    }

    mutating func copyItem(
        _ item: TreeWalk.Item, from source: borrowing OwnedFD, to directory: borrowing OwnedFD, _ path: String
    ) throws {
        if let existing = try fstatatIfExists(directory, item.name) {
            guard existing.kind != .directory else {
                throw BuildError.failed("COPY failed: cannot copy to directory: \(path)")
            }
            try unlinkat(directory, item.name)
        }
        let metadata = item.metadata
        switch metadata.kind {
        case .symbolicLink:
            try symlinkat(try readlinkat(source, item.name), directory, item.name)
        case .fifo, .characterDevice, .blockDevice:
            try mknodat(
                directory, item.name, kind: metadata.kind, mode: 0o600, major: metadata.deviceMajor,
                minor: metadata.deviceMinor)
        default:
            if try linkToEarlier(item, in: directory, path) { return }
            let from = try openat(source, item.name, [.readOnly, .noFollow, .nonBlocking])
            let file = try openat(directory, item.name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
            try copyContent(from, to: file)
        }
        try finish(item, from: source, in: directory)
    }

    /// The second name of a file that was copied under its first one.
    private mutating func linkToEarlier(_ item: TreeWalk.Item, in directory: borrowing OwnedFD, _ path: String) throws
        -> Bool
    {
        guard item.metadata.links > 1 else { return false }
        let key = FileKey(device: item.metadata.device, inode: item.metadata.inode)
        guard let earlier = linked[key] else {
            // A name that is not text cannot be found again by its path.
            if !path.unicodeScalars.contains("\u{FFFD}") { linked[key] = path }
            return false
        }
        let parent = try PathInRoot.openParent(of: earlier, root: target.fd)
        try linkat(parent.directory, try FileName(parent.name), to: directory, item.name)
        return true
    }

    // MARK: Files

    /// A new file in the place of whatever had the name.
    private func replace(_ directory: borrowing OwnedFD, _ name: FileName, _ path: String) throws -> OwnedFD {
        if let existing = try fstatatIfExists(directory, name) {
            guard existing.kind != .directory else {
                throw BuildError.failed("COPY failed: cannot copy to directory: \(path)")
            }
            try unlinkat(directory, name)
        }
        return try openat(directory, name, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
    }

    private mutating func copyContent(_ source: borrowing OwnedFD, to file: borrowing OwnedFD) throws {
        while true {
            try walk.stop.check()
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { return }
            try buffer.withUnsafeBytes { try file.writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    /// Owner first: a change of owner takes set-user-id bits and capabilities away.
    private func finish(_ file: borrowing OwnedFD, _ metadata: FileMetadata) throws {
        let owner = owner ?? Ownership(of: metadata)
        try fchown(file, uid: owner.uid, gid: owner.gid)
        try fchmod(file, mode: permissions?.applied(to: metadata) ?? metadata.permissions)
        try futimens(file, modified: metadata.modified)
    }

    func finish(_ item: TreeWalk.Item, from source: borrowing OwnedFD, in directory: borrowing OwnedFD) throws {
        let owner = owner ?? Ownership(of: item.metadata)
        try fchownat(directory, item.name, uid: owner.uid, gid: owner.gid)
        if item.metadata.kind != .symbolicLink {
            try fchmodat(
                directory, item.name, mode: permissions?.applied(to: item.metadata) ?? item.metadata.permissions)
        }
        for attribute in try TreeWalk.attributes(in: source, item.name) {
            try setxattrat(directory, item.name, attribute: attribute.name, value: attribute.value)
        }
        try utimensat(directory, item.name, modified: item.metadata.modified)
    }
}

extension Ownership {
    init(of metadata: FileMetadata) {
        self.init(uid: metadata.uid, gid: metadata.gid)
    }
}
