import CLinux
import Glibc
import SystemPackage

/// Sockets that a service manager has opened for the program (sd_listen_fds(3)).
public enum InheritedSocket {
    /// The first such socket, or nil when there is none for this process.
    public static func take() throws(SystemError) -> OwnedFD? {
        guard let pid = getenv("LISTEN_PID").map({ String(cString: $0) }), Int32(pid) == getpid(),
            let count = getenv("LISTEN_FDS").map({ String(cString: $0) }), let count = Int(count), count >= 1
        else { return nil }
        let socket = OwnedFD(adopting: 3)
        try check("fcntl F_SETFD") { fcntl(3, F_SETFD, FD_CLOEXEC) }
        unsetenv("LISTEN_PID")
        unsetenv("LISTEN_FDS")
        return socket
    }

    /// Takes over a descriptor that whoever started the program named on the command line.
    public static func adopt(_ number: Int32) throws(SystemError) -> OwnedFD {
        try check("fcntl F_SETFD", "\(number)") { fcntl(number, F_SETFD, FD_CLOEXEC) }
        return OwnedFD(adopting: number)
    }
}

/// Makes a write to a connection that nobody reads an error of the call instead of the end of the program.
public func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}
