public import SystemPackage

/// A mount namespace of the calling thread alone, in which detached mounts get a place for a moment: the kernel copies a
/// part of a mount only when that mount is in the caller's namespace (before Linux 6.15).
///
/// Made and used within `onThrowawayThread`, since the thread never comes back from it.
public struct MountNamespace: ~Copyable {
    private let root: OwnedFD

    /// A copy of the thread's namespace in which nothing is shared with the others.
    public init() throws(SystemError) {
        try Namespaces.mount.unshare()
        root = try Self.closedRoot()
    }

    /// What is mounted here must not show on the host.
    private static func closedRoot() throws(SystemError) -> OwnedFD {
        let root = try OwnedFD.open("/", [.path, .directory])
        try Mount.setAttributes(root, propagation: .isPrivate, recursive: true)
        return root
    }

    /// A detached copy of what a path leads to inside a detached mount; links are followed inside it. The descriptor of
    /// `mount` stays usable for further copies.
    public func clone(of path: String, in mount: borrowing OwnedFD, isAttached: Bool = false) throws(SystemError) -> OwnedFD {
        if !isAttached { try Mount.attach(mount, to: root) }
        return try Mount.clone(of: try PathInRoot.open(path, root: mount, flags: .path), recursive: false)
    }

    /// A detached copy of the root of a process that lives in another namespace, without what is mounted in it. Of a file
    /// system that bears no second mount of its own, as an overlay with its upper directory, it is another view of the same.
    /// The calling thread is in that namespace afterwards: only on one that then ends.
    public static func copyRoot(of pid: Int32) throws(SystemError) -> OwnedFD {
        let namespace = try OwnedFD.open(FilePath("/proc/\(pid)/ns/mnt"), .readOnly)
        // A thread that shares its root and directory with others may not join one.
        try Namespaces.mount.unshare()
        try Namespaces.mount.join(namespace)
        return try Mount.clone(of: "/", recursive: false)
    }

    /// As long as somebody has the descriptor, the mounts stay.
    public func descriptor() throws(SystemError) -> OwnedFD {
        try OwnedFD.open("/proc/thread-self/ns/mnt", .readOnly)
    }

    /// Where something is mounted at or below a path, the last mounted first; of the namespace of the whole process.
    public static func mountPoints(below path: FilePath) throws(SystemError) -> [FilePath] {
        let file = try OwnedFD.open("/proc/self/mountinfo", .readOnly)
        return try MountedPlace.all(file).map(\.path).filter { $0.starts(with: path) }.reversed()
    }

    /// Takes away all that is mounted at or below a path, so that what lies under it can be removed alone.
    public static func detachAll(below path: FilePath) throws(SystemError) {
        for point in try mountPoints(below: path) { try Mount.detach(point) }
    }
}
