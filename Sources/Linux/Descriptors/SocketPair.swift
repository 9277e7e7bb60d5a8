import CLinux
import Glibc

/// Two connected unix stream sockets.
public struct SocketPair: ~Copyable {
    public let first: OwnedFD
    public let second: OwnedFD

    public init() throws(SystemError) {
        var pair: [Int32] = [-1, -1]
        try check("socketpair") { socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) }
        first = OwnedFD(adopting: pair[0])
        second = OwnedFD(adopting: pair[1])
    }

    /// Both ends, each with an owner of its own.
    public consuming func take() -> (first: SharedFD, second: SharedFD) {
        (SharedFD(first), SharedFD(second))
    }
}
