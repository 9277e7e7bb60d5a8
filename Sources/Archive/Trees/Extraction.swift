public import Linux
import SystemPackage

/// What to do with an archive's entries on disk.
public struct ExtractionOptions: Sendable {
    public enum Whiteouts: Sendable {
        /// `.wh.name` becomes what an overlay takes for a removal, `.wh..wh..opq` an opaque directory: a layer.
        case asOverlay
        /// They are ordinary files.
        case asFiles
    }

    public enum Ownership: Sendable, Equatable {
        case fromArchive
        case fixed(uid: UInt32, gid: UInt32)
    }

    public var whiteouts: Whiteouts
    public var ownership: Ownership
    /// Device nodes and fifos are made; otherwise they are left out.
    public var makesDevices: Bool
    /// A directory that is there is not replaced by something else, nor something else by a directory.
    public var keepsKinds: Bool
    /// All of it is going to be synced at the end: the disk begins with that at once, while the rest is unpacked.
    public var startsWriting: Bool

    public init(
        whiteouts: Whiteouts = .asFiles, ownership: Ownership = .fromArchive, makesDevices: Bool = true,
        keepsKinds: Bool = false, startsWriting: Bool = false
    ) {
        self.whiteouts = whiteouts
        self.ownership = ownership
        self.makesDevices = makesDevices
        self.keepsKinds = keepsKinds
        self.startsWriting = startsWriting
    }
}

/// Unpacks an archive below a directory, and nowhere else: every name is reached through the descriptor of its directory,
/// which is resolved inside the root, links included.
///
/// Later entries replace earlier ones. What already is in the directory is treated like earlier entries. May block.
public final class Extraction {
    let root: OwnedFD
    let options: ExtractionOptions
    /// Where contents go that an entry replaces while the archive's frame still needs them.
    let replaced: OwnedFD?

    /// The directory that was used last, since most entries lie beside the one before.
    private var parent: OwnedFD
    private var parentPath: [FileName]? = []
    /// The same with slashes, one at the end, for the frame.
    private var parentText: [UInt8] = []
    /// Directories get their times at the end, when nothing changes in them any more.
    private var directoryTimes = DirectoryTimes()

    /// How much the files hold that were written.
    public private(set) var contentBytes: Int64 = 0

    private static let writtenAtOnce: Int64 = 8 << 20
    private static let worthWriting: Int64 = 128 << 10

    /// `root` may be a mere place (`O_PATH`).
    public init(
        into root: consuming OwnedFD, options: ExtractionOptions = ExtractionOptions(), replaced: consuming OwnedFD? = nil
    ) throws {
        parent = try root.duplicate()
        self.root = root
        self.options = options
        self.replaced = replaced
    }

    public func run(_ reader: TarReader) throws {
        while let entry = try reader.next() {
            do {
                try extract(entry, reader)
            } catch let error as SystemError {
                throw ExtractionError(path: entry.displayPath, cause: error)
            }
        }
        try setDirectoryTimes()
    }

    private func extract(_ entry: TarEntry, _ reader: TarReader) throws {
        guard var names = safeComponents(entry.path) else {
            throw ArchiveError.unsafe(path: entry.displayPath, reason: "the name leaves the archive's root")
        }
        guard let name = names.popLast() else {
            guard entry.kind == .directory else {
                throw ArchiveError.unsafe(path: entry.displayPath, reason: "the root is a directory")
            }
            return try finishRoot(entry)
        }
        try enter(names)
        if options.keepsKinds { try checkKind(name, entry) }
        if options.whiteouts == .asOverlay, try whiteOut(name, entry) { return }
        switch entry.kind {
        case .file: try extractFile(entry, name, reader)
        case .directory: try extractDirectory(entry, name)
        case .symbolicLink:
            guard !entry.linkTarget.isEmpty else { throw ArchiveError.malformed("a symbolic link without text") }
            try replacing(name) { parent throws(SystemError) in try symlinkat(entry.linkTarget, parent, name) }
            try finishSpecial(entry, name)
        case .hardLink: try extractHardLink(entry, name)
        case .characterDevice, .blockDevice, .fifo:
            guard options.makesDevices else { return }
            let kind = nodeKind(entry.kind)
            try replacing(name) { parent throws(SystemError) in
                try mknodat(parent, name, kind: kind, mode: 0o600, major: entry.deviceMajor, minor: entry.deviceMinor)
            }
            try finishSpecial(entry, name)
        }
    }

    private func checkKind(_ name: FileName, _ entry: TarEntry) throws {
        guard let there = try fstatatIfExists(parent, name) else { return }
        let (wasDirectory, becomesDirectory) = (there.kind == .directory, entry.kind == .directory)
        guard wasDirectory != becomesDirectory else { return }
        let words = wasDirectory ? ("directory", "non-directory") : ("non-directory", "directory")
        throw ArchiveError.conflict("cannot overwrite \(words.0) \"\(entry.displayPath)\" with \(words.1)")
    }

    // MARK: Places

    /// Makes `parent` the directory of that path; what is missing of it is made.
    private func enter(_ path: [FileName]) throws {
        if path == parentPath { return }
        do {
            parent = try openDirectory(path[...], root: root)
        } catch {
            guard error.isOne(of: .noSuchFileOrDirectory, .notDirectory) else { throw error }
            parent = try makeDirectories(path)
        }
        parentPath = path
        parentText = path.flatMap { $0.bytes + [UInt8(ascii: "/")] }
    }

    private func makeDirectories(_ path: [FileName]) throws -> OwnedFD {
        var reached = try root.duplicate()
        for (index, name) in path.enumerated() {
            do {
                reached = try openDirectory(path[...index], root: root)
                continue
            } catch {
                // Else it is missing, or removed by a white-out before it in the archive.
                guard error.isOne(of: .noSuchFileOrDirectory, .notDirectory) else { throw error }
            }
            var wasWhiteout = false
            if options.whiteouts == .asOverlay, let there = try fstatatIfExists(reached, name), there.isWhiteout {
                try unlinkat(reached, name)
                wasWhiteout = true
            }
            try mkdirat(reached, name, mode: 0o755)
            reached = try openDirectory(path[...index], root: root)
            if wasWhiteout { try makeOpaque(reached) }
        }
        return reached
    }

    /// Makes something that has the name of something else perhaps, which then goes.
    private func replacing(_ name: FileName, _ make: (borrowing OwnedFD) throws(SystemError) -> Void) throws {
        do {
            try make(parent)
        } catch {
            guard error.errno == .fileExists else { throw error }
            try removeExisting(name)
            try make(parent)
        }
    }

    private func removeExisting(_ name: FileName) throws {
        // To remove its name would take a mount away from those who see it in another namespace.
        if try isMountPoint(parent, name) { throw SystemError(errno: .resourceBusy, call: "unlinkat", subject: name.description) }
        try keepContents(of: name, in: parent)
        try removeTree(in: parent, name)
        forgetParent()
    }

    /// The tree below may have been the present directory.
    private func forgetParent() {
        parentPath = nil
    }

    /// Moves files aside whose content the frame refers to.
    private func keepContents(of name: FileName, in directory: borrowing OwnedFD) throws {
        guard let place = try replacedDirectory() else { return }
        guard let there = try fstatatIfExists(directory, name) else { return }
        switch there.kind {
        case .regular where there.size > 0:
            try renameat(directory, name, to: place, FileName("\(there.inode)"))
        case .directory:
            let opened = try openat(directory, name, [.readOnly, .directory])
            for child in try namesInDirectory(opened) { try keepContents(of: child, in: opened) }
        default: break
        }
    }

    private func replacedDirectory() throws -> OwnedFD? {
        switch replaced {
        case .some(let directory): try directory.duplicate()
        case .none: nil
        }
    }

    // MARK: Kinds

    private func extractFile(_ entry: TarEntry, _ name: FileName, _ reader: TarReader) throws {
        let file = try createFile(name, entry)
        if let segments = entry.segments {
            try writeSparse(segments, entry, reader, file)
        } else {
            let isKept = reader.hasFrame && entry.size > 0
            let kept = isKept ? TarFrame.File(path: parentText + name.bytes, label: try fstat(file).inode) : nil
            var offset: Int64 = 0
            var started: Int64 = 0
            try reader.forEachPiece(keptAs: kept) { piece in
                try pwriteAll(file, piece, at: offset)
                offset += Int64(piece.count)
                if options.startsWriting, offset - started >= Self.writtenAtOnce {
                    startWriting(file, from: started, length: offset - started)
                    started = offset
                }
            }
            // Small files go together in the end: one after the other would cost more than it brings.
            if options.startsWriting, offset - started >= Self.worthWriting { startWriting(file, from: started, length: 0) }
        }
        contentBytes += entry.size
        // The owner first: a change of it takes setuid bits and capabilities away.
        let (uid, gid) = owner(entry)
        try fchown(file, uid: uid, gid: gid)
        try fchmod(file, mode: entry.mode)
        for attribute in entry.attributes {
            try setAttribute(attribute) { () throws(SystemError) in try fsetxattr(file, attribute: attribute.name, value: attribute.value) }
        }
        try futimens(file, modified: entry.modified)
    }

    private func createFile(_ name: FileName, _ entry: TarEntry) throws -> OwnedFD {
        do {
            return try openat(parent, name, [.writeOnly, .create, .exclusive])
        } catch {
            guard error.isOne(of: .fileExists, .isDirectory) else { throw error }
            try removeExisting(name)
            try enter(names(of: entry))
            return try openat(parent, name, [.writeOnly, .create, .exclusive])
        }
    }

    private func names(of entry: TarEntry) -> [FileName] { pathComponents(entry.path).dropLast() }

    private func writeSparse(
        _ segments: [SparseSegment], _ entry: TarEntry, _ reader: TarReader, _ file: borrowing OwnedFD
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        for segment in segments {
            var done: Int64 = 0
            while done < segment.length {
                let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: segment.length - done)))
                let count = try reader.read(into: wanted)
                if count == 0 { throw ArchiveError.malformed("tar: unexpected end") }
                try pwriteAll(file, UnsafeRawBufferPointer(rebasing: wanted[..<count]), at: segment.offset + done)
                done += Int64(count)
            }
        }
        try ftruncate(file, size: entry.size)
    }

    private func extractDirectory(_ entry: TarEntry, _ name: FileName) throws {
        do {
            try mkdirat(parent, name, mode: 0o700)
        } catch {
            guard error.errno == .fileExists else { throw error }
            try makeRoomForDirectory(entry, name)
        }
        let (uid, gid) = owner(entry)
        try fchownat(parent, name, uid: uid, gid: gid)
        try fchmodat(parent, name, mode: entry.mode)
        var list: [UInt8]?
        for attribute in entry.attributes {
            if attribute.name == DirectoryTimes.inheritedList {
                list = attribute.value
                continue
            }
            try setAttribute(attribute) { () throws(SystemError) in
                try setxattrat(parent, name, attribute: attribute.name, value: attribute.value)
            }
        }
        try directoryTimes.append(names(of: entry) + [name], entry.modified, inheritedList: list)
    }

    /// A directory stays and gets the new owner and mode; anything else goes.
    private func makeRoomForDirectory(_ entry: TarEntry, _ name: FileName) throws {
        let there = try fstatat(parent, name)
        if there.kind == .directory { return }
        try removeExisting(name)
        try enter(names(of: entry))
        try mkdirat(parent, name, mode: 0o700)
        if options.whiteouts == .asOverlay, there.isWhiteout {
            let made = try openat(parent, name, [.readOnly, .directory])
            try makeOpaque(made)
        }
    }

    private func extractHardLink(_ entry: TarEntry, _ name: FileName) throws {
        guard var target = safeComponents(entry.linkTarget), let targetName = target.popLast() else {
            throw ArchiveError.unsafe(path: entry.displayPath, reason: "the hard link leaves the archive's root")
        }
        let directory = try openDirectory(target[...], root: root)
        let there = try fstatat(directory, targetName)
        guard there.kind != .directory else {
            throw ArchiveError.unsafe(path: entry.displayPath, reason: "a hard link to a directory")
        }
        if let existing = try fstatatIfExists(parent, name) {
            // Already this very file.
            if existing.inode == there.inode, existing.device == there.device { return }
            try removeExisting(name)
            try enter(names(of: entry))
        }
        try linkat(directory, targetName, to: parent, name)
    }

    private func nodeKind(_ kind: TarEntry.Kind) -> FileMetadata.Kind {
        switch kind {
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        default: .fifo
        }
    }

    // MARK: Metadata

    private func owner(_ entry: TarEntry) -> (uid: UInt32, gid: UInt32) {
        switch options.ownership {
        case .fromArchive: (entry.uid, entry.gid)
        case .fixed(let uid, let gid): (uid, gid)
        }
    }

    private func finishSpecial(_ entry: TarEntry, _ name: FileName) throws {
        let (uid, gid) = owner(entry)
        try fchownat(parent, name, uid: uid, gid: gid)
        if entry.kind != .symbolicLink { try fchmodat(parent, name, mode: entry.mode) }
        for attribute in entry.attributes {
            try setAttribute(attribute) { () throws(SystemError) in
                try setxattrat(parent, name, attribute: attribute.name, value: attribute.value)
            }
        }
        try utimensat(parent, name, modified: entry.modified)
    }

    private func finishRoot(_ entry: TarEntry) throws {
        let opened = try reopenDirectory(root)
        let (uid, gid) = owner(entry)
        try fchown(opened, uid: uid, gid: gid)
        try fchmod(opened, mode: entry.mode)
        try directoryTimes.append([], entry.modified)
    }

    /// Only what belongs to a file wherever it is (`TarAttribute.travels`). Attributes that the file system or the kind of
    /// file does not have are left out, as every unpacker does.
    private func setAttribute(_ attribute: TarAttribute, _ set: () throws(SystemError) -> Void) throws {
        guard attribute.travels else { return }
        do {
            try set()
        } catch {
            // The kernel refuses users' attributes on anything but files and directories.
            let isForbidden = error.errno == .notPermitted && attribute.name.hasPrefix("user.")
            guard error.errno == .notSupported || isForbidden else { throw error }
        }
    }

    private func setDirectoryTimes() throws {
        try directoryTimes.forEachFromLast { path, modified, list in
            do {
                let place = try openDirectory(pathComponents(Array(path))[...], root: root, followingLinks: false)
                let directory = try reopenDirectory(place)
                if let list {
                    try setAttribute(TarAttribute(name: DirectoryTimes.inheritedList, value: list)) { () throws(SystemError) in
                        try fsetxattr(directory, attribute: DirectoryTimes.inheritedList, value: list)
                    }
                }
                try futimens(directory, modified: modified)
            } catch let error as SystemError {
                // Replaced by a later entry: then there is nothing to set.
                guard error.isOne(of: .noSuchFileOrDirectory, .notDirectory, .tooManySymbolicLinkLevels) else { throw error }
            }
        }
    }

    // MARK: White-outs

    /// Whether the entry was one.
    private func whiteOut(_ name: FileName, _ entry: TarEntry) throws -> Bool {
        let bytes = name.bytes
        guard bytes.starts(with: ".wh.".utf8) else { return false }
        if bytes.elementsEqual(".wh..wh..opq".utf8) {
            try makeOpaque(parent)
            return true
        }
        // Other names with the double mark belong to aufs itself.
        if bytes.starts(with: ".wh..wh.".utf8) { return true }
        guard let hidden = try? FileName(bytes.dropFirst(4)) else {  // `.wh.` alone, or `.wh...`.
            throw ArchiveError.unsafe(path: entry.displayPath, reason: "a white-out of no name")
        }
        try replacing(hidden) { parent throws(SystemError) in
            try mknodat(parent, hidden, kind: .characterDevice, mode: 0)
        }
        return true
    }

    private func makeOpaque(_ directory: borrowing OwnedFD) throws {
        let opened = try reopenDirectory(directory)
        try fsetxattr(opened, attribute: "trusted.overlay.opaque", value: Array("y".utf8))
    }
}
