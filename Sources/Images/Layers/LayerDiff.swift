import Blocking
import Linux
public import OCI
import SystemPackage

/// What a container changed, as `docker diff` tells it.
public struct LayerChange: Sendable, Equatable {
    /// Docker's numbers.
    public enum Kind: Int, Sendable {
        case modified = 0
        case added = 1
        case deleted = 2
    }

    /// Absolute, as the container sees it.
    public var path: String
    public var kind: Kind
}

extension LayerStore {
    /// Compares an overlay's upper directory with the layers below it, base first. Sorted by path.
    public func changes(upper: FilePath, layers: [Digest]) async throws -> [LayerChange] {
        try await blocking {
            let top = try OwnedFD.open(upper, [.readOnly, .directory])
            let below = try layers.reversed().map { layer in
                DirectoryFD(try OwnedFD.open(self.path(layer), [.readOnly, .directory]))
            }
            var comparison = Comparison()
            _ = try comparison.compare(top, with: below, at: "")
            return comparison.changes.sorted { $0.path < $1.path }
        }
    }
}

private final class DirectoryFD {
    let directory: OwnedFD
    init(_ directory: consuming OwnedFD) { self.directory = directory }
}

/// Walks an upper directory together with the directories that it covers, the topmost first.
private struct Comparison {
    var changes: [LayerChange] = []

    /// Answers whether anything in the directory changed.
    mutating func compare(_ upper: borrowing OwnedFD, with below: [DirectoryFD], at path: String) throws -> Bool {
        let before = changes.count
        for name in try namesInDirectory(upper) {
            let metadata = try fstatat(upper, name)
            let covered = try look(up: name, in: below)
            let child = "\(path)/\(name)"
            if metadata.isWhiteout {
                changes.append(LayerChange(path: child, kind: .deleted))
            } else if metadata.kind == .directory {
                try compareDirectory(name, metadata, in: upper, covered: covered, at: child)
            } else {
                changes.append(LayerChange(path: child, kind: covered.metadata == nil ? .added : .modified))
            }
        }
        return changes.count > before
    }

    /// A directory that stands in the upper one only because of what is in it is told as modified, too, as Docker does; one
    /// that was merely looked into is not told.
    private mutating func compareDirectory(
        _ name: FileName, _ metadata: FileMetadata, in upper: borrowing OwnedFD, covered: Covered, at path: String
    ) throws {
        let opened = try openat(upper, name, [.readOnly, .directory])
        let isOpaque = try isOpaqueDirectory(opened)
        let changedBelow = try compare(opened, with: isOpaque ? [] : covered.directories, at: path)
        guard let old = covered.metadata else {
            changes.append(LayerChange(path: path, kind: .added))
            return
        }
        let isSame =
            old.kind == .directory && old.rawMode == metadata.rawMode && old.uid == metadata.uid
            && old.gid == metadata.gid && old.modified == metadata.modified && !isOpaque
        if changedBelow || !isSame { changes.append(LayerChange(path: path, kind: .modified)) }
    }

    /// What a name means in the layers below: the topmost thing, and if that is a directory, all that it is merged of.
    private struct Covered {
        var metadata: FileMetadata?
        var directories: [DirectoryFD] = []
    }

    private func look(up name: FileName, in below: [DirectoryFD]) throws -> Covered {
        var covered = Covered()
        for layer in below {
            guard let metadata = try fstatatIfExists(layer.directory, name) else { continue }
            if metadata.isWhiteout { break }
            if covered.metadata == nil { covered.metadata = metadata }
            guard metadata.kind == .directory else { break }
            let opened = DirectoryFD(try openat(layer.directory, name, [.readOnly, .directory]))
            covered.directories.append(opened)
            if try isOpaqueDirectory(opened.directory) { break }
        }
        return covered
    }

    private func isOpaqueDirectory(_ directory: borrowing OwnedFD) throws -> Bool {
        try fxattrs(directory).contains { $0.name == "trusted.overlay.opaque" && $0.value == Array("y".utf8) }
    }
}
