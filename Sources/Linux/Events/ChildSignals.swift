import CLinux
import Glibc
import SystemPackage

/// Tells by a descriptor that children have ended. All signals are blocked from then on, so that none but SIGKILL and
/// SIGSTOP has an effect on this process; a child made later has to unblock them.
public struct ChildSignals: ~Copyable {
    /// Readable when a child has ended.
    public let descriptor: OwnedFD

    public init() throws(SystemError) {
        var all = sigset_t()
        sigfillset(&all)
        try check("sigprocmask") { sigprocmask(SIG_SETMASK, &all, nil) }
        var child = sigset_t()
        sigemptyset(&child)
        sigaddset(&child, SIGCHLD)
        descriptor = OwnedFD(
            adopting: try check("signalfd") { signalfd(-1, &child, Int32(SFD_CLOEXEC | SFD_NONBLOCK)) })
    }

    /// Takes the signal off; then `reapNext` until it has nothing more.
    public func clear() {
        var information = signalfd_siginfo()
        // There may be none: several ends are told by one signal.
        _ = Glibc.read(descriptor.raw, &information, MemoryLayout<signalfd_siginfo>.size)
    }

    /// The next child that has ended, of those made here and those that were orphaned; nil when there is none.
    public static func reapNext() -> (pid: pid_t, end: ExitStatus)? {
        while true {
            var status: Int32 = 0
            let pid = waitpid(-1, &status, WNOHANG)
            if pid < 0, Glibc.errno == EINTR { continue }
            guard pid > 0 else { return nil }
            let signal = status & 0x7F
            return (pid, signal == 0 ? .exited(status >> 8 & 0xFF) : .signaled(signal))
        }
    }
}

/// When a process was started, in ticks since the machine was: with the pid it names the process for ever.
public func processStartTime(_ pid: pid_t) throws(SystemError) -> UInt64 {
    let bytes = try OwnedFD.open(FilePath("/proc/\(pid)/stat"), .readOnly).readAll(limit: 8192)
    // The name of the program is in parentheses and may have any byte; the 20th field after it is the time.
    let rest = bytes[(bytes.lastIndex(of: UInt8(ascii: ")")) ?? bytes.startIndex)...]
    let fields = rest.split(separator: UInt8(ascii: " "))
    guard fields.count > 20, let time = UInt64(String(decoding: fields[20], as: UTF8.self)) else {
        throw SystemError(errno: .invalidArgument, call: "read", subject: "/proc/\(pid)/stat")
    }
    return time
}

/// Milliseconds of a clock that nobody sets, to measure spans with.
public func monotonicMilliseconds() -> Int64 {
    Int64(monotonicSeconds() * 1000)
}
