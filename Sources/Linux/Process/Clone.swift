import CLinux
import Glibc

/// The kinds of namespaces: the `CLONE_NEW*` bits.
public struct Namespaces: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let time = Namespaces(rawValue: 0x80)
    public static let mount = Namespaces(rawValue: 0x2_0000)
    public static let cgroup = Namespaces(rawValue: 0x200_0000)
    public static let uts = Namespaces(rawValue: 0x400_0000)
    public static let ipc = Namespaces(rawValue: 0x800_0000)
    public static let user = Namespaces(rawValue: 0x1000_0000)
    public static let pid = Namespaces(rawValue: 0x2000_0000)
    public static let network = Namespaces(rawValue: 0x4000_0000)

    /// Makes new namespaces for the calling thread; those of pid and time hold for its children only (unshare(2)).
    public func unshare() throws(SystemError) {
        let flags = Int32(truncatingIfNeeded: rawValue)
        try check("unshare") { Glibc.unshare(flags) }
    }

    /// The name below `/proc/PID/ns` for each kind, users first.
    public static let names: [(name: String, kind: Namespaces)] = [
        ("user", .user), ("mnt", .mount), ("pid", .pid), ("net", .network), ("ipc", .ipc), ("uts", .uts),
        ("cgroup", .cgroup), ("time", .time),
    ]

    /// Joins the namespace of a descriptor below `/proc/PID/ns`, or these kinds of namespaces of a process by its pidfd
    /// (setns(2)).
    public func join(_ descriptor: borrowing OwnedFD) throws(SystemError) {
        let (raw, flags) = (descriptor.raw, Int32(truncatingIfNeeded: rawValue))
        try check("setns") { setns(raw, flags) }
    }
}

/// Which side of a clone this is.
public enum CloneSide: ~Copyable {
    case child
    case parent(pid: Int32, pidfd: OwnedFD)
}

/// Duplicates the calling process, which must have one thread only: both sides go on from here, the child in new
/// namespaces of the given kinds, and in a cgroup of version 2 where one is given. Ends the child with `endProcess`.
/// With `asSibling` the new process is not the caller's child but its parent's.
public func cloneProcess(_ namespaces: Namespaces, cgroupDirectory: Int32? = nil, asSibling: Bool = false)
    throws(SystemError) -> CloneSide
{
    var pidfd: Int32 = -1
    let flags = namespaces.rawValue | (asSibling ? UInt64(CLONE_PARENT) : 0)
    let pid = try check("clone3") { clinux_clone3(flags, &pidfd, cgroupDirectory ?? -1) }
    return pid == 0 ? .child : .parent(pid: pid, pidfd: OwnedFD(adopting: pidfd))
}

/// Ends the calling process at once, without anything that the program planned for its end.
public func endProcess(_ code: Int32) -> Never {
    _exit(code)
}

/// Waits for a child to end and reaps it. Blocks.
public func reap(_ pid: Int32) throws(SystemError) -> ExitStatus {
    var status: Int32 = 0
    try check("waitpid", "\(pid)") { waitpid(pid, &status, 0) }
    let signal = status & 0x7f
    return signal == 0 ? .exited(status >> 8 & 0xff) : .signaled(signal)
}

/// A descriptor that stands for the process (pidfd_open(2)).
public func openProcess(_ pid: Int32) throws(SystemError) -> OwnedFD {
    OwnedFD(adopting: try check("pidfd_open", "\(pid)") { pidfd_open(pid, 0) })
}

/// Sends a signal to exactly the process that the descriptor stands for.
public func sendSignal(_ signal: Signal, to process: borrowing OwnedFD) throws(SystemError) {
    let raw = process.raw
    try check("pidfd_send_signal") { pidfd_send_signal(raw, signal.rawValue, nil, 0) }
}
