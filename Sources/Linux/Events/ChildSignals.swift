import CLinux
import Glibc

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
