import CLinux
import Glibc
import SystemPackage

/// Network namespaces as descriptors.
public enum NetworkNamespace {
    /// The one of a process; it lives on as long as the descriptor. The pid must not have been reaped.
    public static func open(pid: Int32) throws(SystemError) -> OwnedFD {
        try open(FilePath("/proc/\(pid)/ns/net"))
    }

    /// The one of the calling thread.
    public static func current() throws(SystemError) -> OwnedFD {
        try open("/proc/thread-self/ns/net")
    }

    /// Moves the calling thread to the namespace. Only within `onThrowawayThread`.
    public static func enter(_ namespace: Int32) throws(SystemError) {
        try check("setns", "network namespace") { setns(namespace, CLONE_NEWNET) }
    }

    /// Moves the calling thread to a new, empty namespace. Only within `onThrowawayThread`.
    public static func enterNew() throws(SystemError) {
        try check("unshare", "network namespace") { unshare(CLONE_NEWNET) }
    }

    /// Whether both descriptors mean the same namespace.
    public static func areSame(_ one: Int32, _ other: Int32) throws(SystemError) -> Bool {
        let (first, second) = (try status(one), try status(other))
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    private static func status(_ namespace: Int32) throws(SystemError) -> stat {
        var status = stat()
        try check("fstat", "network namespace") { fstat(namespace, &status) }
        return status
    }

    private static func open(_ path: FilePath) throws(SystemError) -> OwnedFD {
        let descriptor = try OwnedFD.open(path, .readOnly)
        let raw = descriptor.raw
        // Only descriptors of namespaces answer this question (ioctl_nsfs(2)).
        guard try check("ioctl NS_GET_NSTYPE", path.string, { ioctl(raw, getNamespaceType) }) == CLONE_NEWNET else {
            throw SystemError(errno: .invalidArgument, call: "open network namespace", subject: path.string)
        }
        return descriptor
    }

    private static let getNamespaceType: UInt = 0xb703
}
