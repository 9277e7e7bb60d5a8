import CLinux
import Glibc

/// What the first process of a PID namespace needs to look after the others. The process has one thread.
public enum FirstProcess {
    /// From here on signals wait for `nextSignal`. A child made later has to undo it (`Identity.resetSignals`).
    public static func holdSignals() throws(SystemError) {
        var all = sigset_t()
        sigfillset(&all)
        try check("sigprocmask") { sigprocmask(SIG_SETMASK, &all, nil) }
    }

    /// Sleeps until a signal comes; the end of a child is one (`SIGCHLD`).
    public static func nextSignal() throws(SystemError) -> Signal {
        var all = sigset_t()
        sigfillset(&all)
        return Signal(rawValue: try check("sigwaitinfo") { sigwaitinfo(&all, nil) })
    }

    /// Puts the calling process into a process group of its own, and that group into the foreground of the terminal on
    /// descriptor 0, if there is one: what is typed there then goes to it and not to the first process.
    public static func becomeForegroundGroup() throws(SystemError) {
        try check("setpgid") { setpgid(0, 0) }
        guard isatty(0) == 1 else { return }
        // Without it the call below would stop a process that is not in the foreground yet.
        let before = signal(SIGTTOU, SIG_IGN)
        try check("tcsetpgrp") { tcsetpgrp(0, getpgrp()) }
        signal(SIGTTOU, before)
    }
}

extension Signal {
    /// A child has changed its state.
    public static let child = Signal(rawValue: SIGCHLD)
}
