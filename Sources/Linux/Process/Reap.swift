import CLinux
import Glibc

/// Takes note of a child's end if it has ended already; does not wait. True also when there is no such child any more.
public func reapIfEnded(_ pid: pid_t) -> Bool {
    var status: Int32 = 0
    let result = waitpid(pid, &status, WNOHANG)
    return result == pid || (result == -1 && errno == ECHILD)
}

/// Sends a signal to a process by pid. Only for a pid that cannot have been given away: a child that was not reaped.
public func kill(_ pid: pid_t, _ signal: Signal) throws(SystemError) {
    try check("kill", "\(pid)") { Glibc.kill(pid, signal.rawValue) }
}

/// Does nothing until a signal ends the process.
public func sleepForever() -> Never {
    while true { pause() }
}
