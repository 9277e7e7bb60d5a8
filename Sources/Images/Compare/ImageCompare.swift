import Blocking
import Linux
import OCI

extension ImageStore {
    /// Compares what containers of two images would see. A file whose time alone is another is not told.
    public func compare(_ before: Image, _ after: Image) async throws -> ImageDifference {
        try await layers.holding(before.layers + after.layers) {
            try await blocking {
                let one = DirectoryFD(try self.layers.mount(layers: before.layers, upper: nil, work: nil))
                let two = DirectoryFD(try self.layers.mount(layers: after.layers, upper: nil, work: nil))
                var comparison = TreeComparison()
                try comparison.compare(one.directory, two.directory, at: "")
                return ImageDifference(
                    files: comparison.files.sorted { $0.path < $1.path },
                    packages: PackageList.difference(try PackageList(in: one.directory), try PackageList(in: two.directory)))
            }
        }
    }
}

private final class DirectoryFD {
    let directory: OwnedFD
    init(_ directory: consuming OwnedFD) { self.directory = directory }
}

/// Walks two trees side by side.
private struct TreeComparison {
    private(set) var files: [ImageDifference.File] = []

    mutating func compare(_ before: borrowing OwnedFD, _ after: borrowing OwnedFD, at path: String) throws {
        let one = try reopenDirectory(before)
        let two = try reopenDirectory(after)
        let names = Set(try namesInDirectory(one)).union(try namesInDirectory(two))
        for name in names {
            let child = "\(path)/\(name)"
            switch (try fstatatIfExists(one, name), try fstatatIfExists(two, name)) {
            case (let old?, nil): try tell(.removed, name, in: one, old, at: child)
            case (nil, let new?): try tell(.added, name, in: two, new, at: child)
            case (let old?, let new?): try compare(name, in: one, old, in: two, new, at: child)
            case (nil, nil): continue
            }
        }
    }

    private mutating func compare(
        _ name: FileName, in one: borrowing OwnedFD, _ old: FileMetadata, in two: borrowing OwnedFD, _ new: FileMetadata,
        at path: String
    ) throws {
        let changes = try Self.changes(name, in: one, old, in: two, new)
        if !changes.isEmpty {
            files.append(
                ImageDifference.File(
                    path: path, kind: .changed, sizeBefore: Self.size(old), sizeAfter: Self.size(new), changes: changes))
        }
        switch (old.kind == .directory, new.kind == .directory) {
        case (true, true):
            try compare(
                openat(one, name, [.readOnly, .directory]), openat(two, name, [.readOnly, .directory]), at: path)
        case (true, false): try tellContents(.removed, of: openat(one, name, [.readOnly, .directory]), at: path)
        case (false, true): try tellContents(.added, of: openat(two, name, [.readOnly, .directory]), at: path)
        case (false, false): return
        }
    }

    /// A name that only one image has, and all below it.
    private mutating func tell(
        _ kind: ImageDifference.Kind, _ name: FileName, in directory: borrowing OwnedFD, _ metadata: FileMetadata, at path: String
    ) throws {
        let size = Self.size(metadata)
        files.append(
            ImageDifference.File(
                path: path, kind: kind, sizeBefore: kind == .removed ? size : nil, sizeAfter: kind == .added ? size : nil))
        guard metadata.kind == .directory else { return }
        try tellContents(kind, of: openat(directory, name, [.readOnly, .directory]), at: path)
    }

    private mutating func tellContents(_ kind: ImageDifference.Kind, of directory: borrowing OwnedFD, at path: String) throws {
        for name in try namesInDirectory(directory) {
            try tell(kind, name, in: directory, try fstatat(directory, name), at: "\(path)/\(name)")
        }
    }

    // MARK: One name in both

    private static func changes(
        _ name: FileName, in one: borrowing OwnedFD, _ old: FileMetadata, in two: borrowing OwnedFD, _ new: FileMetadata
    ) throws -> [String] {
        guard old.kind == new.kind else { return ["kind"] }
        var changes: [String] = []
        switch old.kind {
        case .regular: if try !isSameContent(name, in: one, old, in: two, new) { changes.append("content") }
        case .symbolicLink: if try readlinkat(one, name) != readlinkat(two, name) { changes.append("link") }
        case .characterDevice, .blockDevice:
            if (old.deviceMajor, old.deviceMinor) != (new.deviceMajor, new.deviceMinor) { changes.append("device") }
        case .directory, .fifo, .socket: break
        }
        if old.permissions != new.permissions { changes.append("mode") }
        if (old.uid, old.gid) != (new.uid, new.gid) { changes.append("owner") }
        let attributes = (try xattrsat(one, name), try xattrsat(two, name))
        if !attributes.0.elementsEqual(attributes.1, by: { $0.name == $1.name && $0.value == $1.value }) { changes.append("attributes") }
        return changes
    }

    private static func isSameContent(
        _ name: FileName, in one: borrowing OwnedFD, _ old: FileMetadata, in two: borrowing OwnedFD, _ new: FileMetadata
    ) throws -> Bool {
        guard old.size == new.size else { return false }
        // Both images have the layer that the file comes from: an overlay shows the file's own number.
        if old.inode == new.inode, old.modified == new.modified { return true }
        let first = try openat(one, name, .readOnly)
        let second = try openat(two, name, .readOnly)
        var offset: Int64 = 0
        while offset < old.size {
            let bytes = try first.read(at: offset, count: 1 << 18)
            guard !bytes.isEmpty, try second.read(at: offset, count: bytes.count) == bytes else { return false }
            offset += Int64(bytes.count)
        }
        return true
    }

    private static func size(_ metadata: FileMetadata) -> Int64 { metadata.kind == .regular ? metadata.size : 0 }
}
