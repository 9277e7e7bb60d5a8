import Images
import Linux
import OCI
import SystemPackage

/// Places that a container's own file systems are mounted on. Where an image has none, starting a command makes them;
/// they are no work of the command and do not belong into its layer.
struct MountPoints: Sendable {
    private static let paths = [
        "dev/console", "dev/mqueue", "dev/pts", "dev/shm", "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc",
        "proc", "sys", ".dockerenv",
    ]

    /// Without links on the way, the deepest first.
    private let places: [String]
    /// What the image had before, by path.
    private let before: [String: FileMetadata]

    /// Looks at the root that the command will see. `targets` are the places of its own mounts. May block.
    init(layers: [Digest], targets: [String] = [], store: LayerStore) throws {
        let root = OpenDirectory(try store.mount(layers: layers, upper: nil, work: nil))
        var places = Set(Self.paths)
        for target in targets {
            let parts = try root.withoutLinks(target).split(separator: "/")
            for count in 1..<(parts.count + 1) { places.insert(parts[..<count].joined(separator: "/")) }
        }
        var before: [String: FileMetadata] = [:]
        for path in places { before[path] = try root.metadata(of: path) }
        self.before = before
        let depth = { (path: String) in path.utf8.count { $0 == UInt8(ascii: "/") } }
        self.places = places.sorted { (depth($1), $0) < (depth($0), $1) }
    }

    /// Takes from the upper directory what is as empty as it was made. May block.
    func clean(_ upper: FilePath) throws {
        let root = OpenDirectory(try OwnedFD.open(upper, [.readOnly, .directory]))
        for path in places {
            guard let now = try root.metadata(of: path), isStartersWork(now, before[path]) else { continue }
            let parent = try PathInRoot.openParent(of: path, root: root.fd)
            let name = try FileName(parent.name)
            if now.kind == .directory {
                guard try isEmptyDirectory(parent.directory, name) else { continue }
                try unlinkat(parent.directory, name, directory: true)
            } else {
                try unlinkat(parent.directory, name)
            }
        }
    }

    /// An empty file where there was none, or a directory that is new or no different from before.
    private func isStartersWork(_ now: FileMetadata, _ before: FileMetadata?) -> Bool {
        switch now.kind {
        case .regular: before == nil && now.size == 0
        case .directory:
            before.map { $0.permissions == now.permissions && $0.uid == now.uid && $0.gid == now.gid } ?? true
        default: false
        }
    }

    /// An opaque one hides what lies below it, so it is not empty in this sense.
    private func isEmptyDirectory(_ parent: borrowing OwnedFD, _ name: FileName) throws -> Bool {
        let directory = try openat(parent, name, [.readOnly, .directory, .noFollow])
        guard try namesInDirectory(directory).isEmpty else { return false }
        return try !fxattrs(directory).contains { $0.name == "trusted.overlay.opaque" }
    }
}

extension OpenDirectory {
    /// Of the thing itself, also if it is a link; nil when there is nothing of that name.
    fileprivate func metadata(of path: String) throws(SystemError) -> FileMetadata? {
        do {
            let parent = try PathInRoot.openParent(of: path, root: fd)
            return try fstatatIfExists(parent.directory, try FileName(parent.name))
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return nil }
            throw error
        }
    }
}

extension OpenDirectory {
    /// Where a path leads once all links on the way are followed inside the directory; what is missing stays as it is.
    fileprivate func withoutLinks(_ path: String) throws -> String {
        var reached: [String] = []
        var rest = Array(path.split(separator: "/").map(String.init).reversed())
        var links = 0
        while let next = rest.popLast() {
            if next == "." { continue }
            if next == ".." {
                _ = reached.popLast()
                continue
            }
            let place = (reached + [next]).joined(separator: "/")
            guard try metadata(of: place)?.kind == .symbolicLink else {
                reached.append(next)
                continue
            }
            links += 1
            guard links <= 40 else { throw SystemError(errno: .tooManySymbolicLinkLevels, call: "mount target", subject: path) }
            let parent = try PathInRoot.openParent(of: place, root: fd)
            let target = String(decoding: try readlinkat(parent.directory, try FileName(parent.name)), as: UTF8.self)
            if target.hasPrefix("/") { reached = [] }
            rest += target.split(separator: "/").map(String.init).reversed()
        }
        return reached.joined(separator: "/")
    }
}
