import CLinux
import Glibc
public import Linux
import SystemPackage

/// Waits for a child of this process and reaps it. When the task is cancelled the child gets `signal` and is still
/// waited for, so that it is never left behind.
public func waitForExit(_ pid: pid_t, killedOnCancellationWith signal: Int32 = SIGKILL) async throws -> ExitStatus {
    // Before the wait, so that a cancellation reaches this process and never a later one with the same number.
    let process = SharedFD(OwnedFD(adopting: try check("pidfd_open", "\(pid)") { pidfd_open(pid, 0) }))
    return try await withTaskCancellationHandler {
        try await blocking { try waitForExit(ofProcess: process.raw) }
    } onCancel: {
        // Fails only when the process has ended by itself, which is what we want.
        _ = pidfd_send_signal(process.raw, signal, nil, 0)
    }
}

/// The same for a thread that may sleep.
private func waitForExit(ofProcess pidfd: Int32) throws(SystemError) -> ExitStatus {
    var info = siginfo_t()
    try check("waitid") { waitid(idtype_t(3), id_t(pidfd), &info, WEXITED) }  // 3 is P_PIDFD.
    let status = info._sifields._sigchld.si_status
    return info.si_code == CLD_EXITED ? .exited(status) : .signaled(status)
}
