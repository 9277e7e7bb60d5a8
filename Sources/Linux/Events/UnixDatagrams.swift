import CLinux
import Glibc
public import SystemPackage

/// Sends datagrams to a unix socket that has a name in the file system.
public struct UnixDatagrams: ~Copyable {
    private let descriptor: OwnedFD

    /// Whoever takes them must be there already.
    public init(to path: FilePath) throws(SystemError) {
        let parent = try OwnedFD.open(path.removingLastComponent(), [.path, .directory])
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let raw = try check("socket") { Glibc.socket(AF_UNIX, kind, 0) }
        let socket = OwnedFD(adopting: raw)
        try withUnixAddress(path.lastComponent?.string ?? "", in: parent.raw) { address, length in
            connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: address), length)
        }
        descriptor = socket
    }

    /// Waits for room, but not for ever: after `milliseconds` the datagram is lost, which is an error.
    public func send(_ bytes: [UInt8], milliseconds: Int32) throws(SystemError) {
        if try sendNow(bytes) { return }
        var entry = pollfd(fd: descriptor.raw, events: Int16(POLLOUT), revents: 0)
        try check("poll") { poll(&entry, 1, milliseconds) }
        guard try sendNow(bytes) else { throw SystemError(errno: .wouldBlock, call: "send") }
    }

    private func sendNow(_ bytes: [UInt8]) throws(SystemError) -> Bool {
        if bytes.isEmpty { return true }
        return try bytes.span.withUnsafeBytes { bytes throws(SystemError) in try descriptor.sendAvailable(bytes) > 0 }
    }
}
