import CLinux
import Glibc
import SystemPackage

/// Calls by which a process changes what it is. They hold for the calling thread or process, for good, and so belong into
/// a child that is about to become another program.
public enum Identity {
    /// Leads a session of its own from now on, without a terminal.
    public static func startSession() throws(SystemError) {
        try check("setsid") { setsid() }
    }

    public static func setHostname(_ name: String) throws(SystemError) {
        try check("sethostname", name) { sethostname(name, name.utf8.count) }
    }

    public static func setDomainname(_ name: String) throws(SystemError) {
        try check("setdomainname", name) { setdomainname(name, name.utf8.count) }
    }

    /// Real, effective and saved ids alike; groups first, since later there is no right to do so. Additional groups that
    /// are nil stay as they are.
    public static func setUser(_ uid: UInt32, group gid: UInt32, additionalGroups: [UInt32]?) throws(SystemError) {
        if let additionalGroups { try setGroups(additionalGroups) }
        try check("setresgid", "\(gid)") { setresgid(gid, gid, gid) }
        try check("setresuid", "\(uid)") { setresuid(uid, uid, uid) }
    }

    private static func setGroups(_ groups: [UInt32]) throws(SystemError) {
        try check("setgroups") { setgroups(groups.count, groups) }
    }

    public static func setUmask(_ mask: UInt32) {
        umask(mask)
    }

    public static func changeDirectory(_ directory: borrowing OwnedFD) throws(SystemError) {
        let raw = directory.raw
        try check("fchdir") { fchdir(raw) }
    }

    /// Where the process stands, as the kernel says it: beginning with `/`, or `(unreachable)` when it is outside its root.
    public static func workingDirectory() throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let failed = getcwd(&buffer, buffer.count) == nil
        try check("getcwd") { failed ? -1 : 0 }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Makes the mount of a directory the root of the mount namespace. The old root lies on top of it afterwards, at `/`.
    public static func pivotRoot(to root: borrowing OwnedFD) throws(SystemError) {
        try changeDirectory(root)
        try check("pivot_root") { clinux_pivot_root(".", ".") }
    }

    /// chroot(2). The mount namespace keeps its root.
    public static func changeRootToWorkingDirectory() throws(SystemError) {
        try check("chroot") { chroot(".") }
    }

    /// Nothing that the process executes from now on can gain privileges.
    public static func forbidNewPrivileges() throws(SystemError) {
        try check("prctl PR_SET_NO_NEW_PRIVS") { clinux_prctl(PR_SET_NO_NEW_PRIVS, 1, 0) }
    }

    /// The kernel kills this process when its parent's thread ends. A change of user forgets it.
    public static func dieWithParent() throws(SystemError) {
        try check("prctl PR_SET_PDEATHSIG") { clinux_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0) }
    }

    /// Other processes of the same user may not look into this one, nor reach its program file, until it executes another.
    public static func hideFromOthers() throws(SystemError) {
        try check("prctl PR_SET_DUMPABLE") { clinux_prctl(PR_SET_DUMPABLE, 0, 0) }
    }

    /// Orphaned descendants become children of this process.
    public static func adoptOrphans() throws(SystemError) {
        try check("prctl PR_SET_CHILD_SUBREAPER") { clinux_prctl(PR_SET_CHILD_SUBREAPER, 1, 0) }
    }

    /// Makes `descriptors[i]` descriptor `i`, which survives the execution of a program, and marks all others to be closed
    /// then. The given numbers stay open.
    public static func arrangeDescriptors(_ descriptors: [Int32]) throws(SystemError) {
        // Out of the way of the targets first: one that is in place already would otherwise keep its close-on-exec mark.
        var moved: [Int32] = []
        for descriptor in descriptors {
            moved.append(try check("fcntl", "\(descriptor)") { fcntl(descriptor, F_DUPFD_CLOEXEC, Int32(descriptors.count)) })
        }
        for (target, source) in moved.enumerated() { try check("dup2") { dup2(source, Int32(target)) } }
        for descriptor in moved { close(descriptor) }
        try check("close_range") { close_range(UInt32(descriptors.count), UInt32.max, Int32(CLOSE_RANGE_CLOEXEC)) }
    }

    /// Signal handling as a new program expects it: nothing ignored, nothing blocked.
    public static func resetSignals() {
        for number in 1..<65 where number != SIGKILL && number != SIGSTOP { signal(Int32(number), SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
    }

    /// Gives descriptors 0, 1 and 2 to a user, so that it may open them by name (`/dev/stdout`). Devices of the host and
    /// what lies in read-only or foreign file systems stay as they are.
    public static func giveStandardStreams(to uid: UInt32) throws(SystemError) {
        for descriptor in Int32(0)...2 {
            var status = stat()
            guard Glibc.fstat(descriptor, &status) == 0, status.st_uid != uid else { continue }
            let isNull = status.st_mode & S_IFMT == S_IFCHR && status.st_rdev == gnu_dev_makedev(1, 3)
            if isNull { continue }
            do {
                try check("fchown", "\(descriptor)") { Glibc.fchown(descriptor, uid, UInt32.max) }
            } catch  where [.invalidArgument, .notPermitted, .readOnlyFileSystem].contains(error.errno) {
                continue
            }
        }
    }
}
