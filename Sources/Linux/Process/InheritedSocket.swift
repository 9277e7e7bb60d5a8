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

    /// Whether it is one of the machine itself (unix(7)), and not of a network.
    public static func isLocal(_ socket: borrowing OwnedFD) throws(SystemError) -> Bool {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let raw = socket.raw
        try check("getsockname") {
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &length)
                }
            }
        }
        return Int32(address.ss_family) == AF_UNIX
    }

    /// How many there are; only the first one is taken.
    public static var count: Int { getenv("LISTEN_FDS").flatMap { Int(String(cString: $0)) } ?? 0 }

    /// Takes over a descriptor that whoever started the program named on the command line.
    public static func adopt(_ number: Int32) throws(SystemError) -> OwnedFD {
        try check("fcntl F_SETFD", "\(number)") { fcntl(number, F_SETFD, FD_CLOEXEC) }
        return OwnedFD(adopting: number)
    }
}

/// Children that end leave nothing behind, and nobody has to reap them.
public func ignoreChildren() {
    signal(SIGCHLD, SIG_IGN)
}

/// Makes a write to a connection that nobody reads an error of the call instead of the end of the program.
public func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
}
