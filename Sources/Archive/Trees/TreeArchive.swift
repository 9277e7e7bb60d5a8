public import Linux

/// How a directory becomes an archive.
public struct TreeOptions: Sendable {
    public enum Decision: Sendable {
        case include
        /// Not the thing itself, but perhaps what is below it.
        case skip
        case skipTree
    }

    /// The directory is the upper one of an overlay: its marks of removal become `.wh.` names.
    public var isOverlayUpper: Bool
    /// Instead of the owners on disk.
    public var owner: (uid: UInt32, gid: UInt32)?
    /// Decides on each path (relative, without the prefix). Nil includes all.
    public var filter: (@Sendable (_ path: [UInt8], _ isDirectory: Bool) throws -> Decision)?

    public init(
        isOverlayUpper: Bool = false, owner: (uid: UInt32, gid: UInt32)? = nil,
        filter: (@Sendable (_ path: [UInt8], _ isDirectory: Bool) throws -> Decision)? = nil
    ) {
        self.isOverlayUpper = isOverlayUpper
        self.owner = owner
        self.filter = filter
    }
}

/// Writes directories into an archive, always in the same order: names by their bytes, a directory before its content.
/// Hard links are kept within one archive, sockets are left out. Links are never followed. May block.
public final class TreeArchive {
    private let writer: TarWriter
    private let options: TreeOptions
    /// The first name of each file with several.
    private var firstNames: [Inode: [UInt8]] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
    private static let opaqueMark = ".wh..wh..opq"

    /// How much the files hold that were written.
    public private(set) var contentBytes: Int64 = 0

    private struct Inode: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    public init(_ writer: TarWriter, options: TreeOptions = TreeOptions()) {
        self.writer = writer
        self.options = options
    }

    deinit { buffer.deallocate() }

    /// Adds what is in the directory, not the directory itself, below `prefix` (no slash at its end).
    public func addContents(of directory: borrowing OwnedFD, below prefix: [UInt8] = []) throws {
        let opened = try reopenDirectory(directory)
        if options.isOverlayUpper, try isOpaque(fxattrs(opened)) { try addMark(Self.opaqueMark.utf8, in: prefix) }
        for name in try namesInDirectory(opened).sorted() {
            try add(name, in: opened, as: join(prefix, name.bytes))
        }
    }

    /// Adds one name and all below it under another path.
    public func add(_ name: FileName, in directory: borrowing OwnedFD, as path: [UInt8]) throws {
        guard let metadata = try fstatatIfExists(directory, name), metadata.kind != .socket else { return }
        let isDirectory = metadata.kind == .directory
        let decision = try options.filter?(path, isDirectory) ?? .include
        if decision == .skipTree { return }
        if decision == .include { try addItself(name, in: directory, as: path, metadata) }
        if isDirectory {
            let child = try openat(directory, name, [.readOnly, .directory])
            try addContents(of: child, below: path)
        }
    }

    private func addItself(
        _ name: FileName, in directory: borrowing OwnedFD, as path: [UInt8], _ metadata: FileMetadata
    ) throws {
        if options.isOverlayUpper {
            if metadata.isWhiteout { return try addMark(".wh.".utf8 + name.bytes, in: path.dropLast(name.bytes.count)) }
            // A reader would take it for a removal.
            if name.bytes.starts(with: ".wh.".utf8) { return }
        }
        var entry = entry(path, metadata)
        if metadata.kind == .regular, metadata.links > 1 {
            let inode = Inode(device: metadata.device, inode: metadata.inode)
            if let first = firstNames[inode] {
                entry.kind = .hardLink
                entry.size = 0
                entry.linkTarget = first
                return try writer.begin(entry)
            }
            firstNames[inode] = path
        }
        entry.attributes = try xattrsat(directory, name).map { TarAttribute(name: $0.name, value: $0.value) }.filter(\.travels)
        switch entry.kind {
        case .symbolicLink:
            entry.linkTarget = try readlinkat(directory, name)
            try writer.begin(entry)
        case .file:
            let file = try openat(directory, name, [.readOnly, .nonBlocking])
            try addFile(entry, file, inode: metadata.inode)
        default: try writer.begin(entry)
        }
    }

    private func entry(_ path: [UInt8], _ metadata: FileMetadata) -> TarEntry {
        let kind: TarEntry.Kind =
            switch metadata.kind {
            case .regular, .socket: .file
            case .directory: .directory
            case .symbolicLink: .symbolicLink
            case .characterDevice: .characterDevice
            case .blockDevice: .blockDevice
            case .fifo: .fifo
            }
        return TarEntry(
            path: kind == .directory ? path + [UInt8(ascii: "/")] : path, kind: kind,
            size: kind == .file ? metadata.size : 0, mode: metadata.permissions,
            uid: options.owner?.uid ?? metadata.uid, gid: options.owner?.gid ?? metadata.gid,
            modified: .init(seconds: metadata.modified.seconds), deviceMajor: metadata.deviceMajor,
            deviceMinor: metadata.deviceMinor)
    }

    /// A file that changes meanwhile is cut off, or filled up with zeros, at the size that it had.
    private func addFile(_ entry: TarEntry, _ file: borrowing OwnedFD, inode: UInt64) throws {
        try writer.begin(entry)
        contentBytes += entry.size
        let isKept = writer.hasFrame && entry.size > 0
        if isKept { try writer.keep(as: TarFrame.File(path: entry.path, label: inode)) }
        var left = entry.size
        while left > 0 {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(Int(clamping: left)))
            var count = try file.read(into: wanted)
            if count == 0 {
                wanted.initializeMemory(as: UInt8.self, repeating: 0)
                count = wanted.count
            }
            try writer.write(UnsafeRawBufferPointer(rebasing: wanted[..<count]), isKept: isKept)
            left -= Int64(count)
        }
    }

    /// An empty file whose name means something.
    private func addMark(_ name: some Sequence<UInt8>, in directory: some Sequence<UInt8>) throws {
        var path = Array(directory)
        if let last = path.last, last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
        try writer.begin(TarEntry(path: path + name, kind: .file, mode: 0))
    }

    private func isOpaque(_ attributes: [(name: String, value: [UInt8])]) -> Bool {
        attributes.contains { $0.name == "trusted.overlay.opaque" && $0.value == Array("y".utf8) }
    }

    private func join(_ prefix: [UInt8], _ name: [UInt8]) -> [UInt8] {
        prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }
}
