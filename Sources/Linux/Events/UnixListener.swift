import CLinux
import Glibc
public import SystemPackage

/// A unix stream socket with a name in the file system that takes connections without waiting.
public struct UnixListener: ~Copyable, Sendable {
    public let descriptor: OwnedFD

    /// One that was made before.
    public init(adopting descriptor: consuming OwnedFD) {
        self.descriptor = descriptor
    }

    /// Listens under a name in a directory, for its owner alone (0600). A name that exists is replaced. The directory is
    /// reached by its descriptor, so the length of its path does not matter (`sun_path` has 108 bytes).
    public init(name: String, in directory: borrowing OwnedFD) throws(SystemError) {
        let socket = try unixSocket(Int32(SOCK_NONBLOCK.rawValue))
        let (raw, parent) = (socket.raw, directory.raw)
        // A socket that a killed predecessor left; a real error shows at bind.
        _ = Glibc.unlinkat(parent, name, 0)
        // The mode of the socket becomes that of its name.
        try check("fchmod", name) { Glibc.fchmod(raw, 0o600) }
        try withUnixAddress(name, in: parent) { address, length in
            bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: address), length)
        }
        try check("listen", name) { listen(raw, 64) }
        descriptor = socket
    }

    /// The next connection, which does not block; nil when none is waiting.
    public func accept() throws(SystemError) -> OwnedFD? {
        let raw = descriptor.raw
        let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        do {
            return OwnedFD(adopting: try check("accept4") { accept4(raw, __SOCKADDR_ARG(), nil, flags) })
        } catch {
            switch error.errno {
            case .wouldBlock, .resourceTemporarilyUnavailable, .connectionAbort: return nil
            default: throw error
            }
        }
    }
}

/// Connects to a unix stream socket by its name in a directory, whatever the length of the directory's path.
public func connectUnix(name: String, in directory: FilePath) throws(SystemError) -> OwnedFD {
    let parent = try OwnedFD.open(directory, [.path, .directory])
    let connection = try unixSocket(0)
    let raw = connection.raw
    try withUnixAddress(name, in: parent.raw) { address, length in
        connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: address), length)
    }
    return connection
}

/// Connects to a unix stream socket by its path. Waits while the other side has too many connections to take.
public func connectUnix(_ path: FilePath) throws(SystemError) -> OwnedFD {
    let (directory, name) = path.place
    return try connectUnix(name: name, in: directory.isEmpty ? "." : directory)
}

private func unixSocket(_ flags: Int32) throws(SystemError) -> OwnedFD {
    OwnedFD(adopting: try check("socket") { socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue) | flags, 0) })
}

func withUnixAddress(
    _ name: String, in directory: Int32, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) throws(SystemError) {
    let path = Array("/proc/self/fd/\(directory)/\(name)".utf8)
    var address = sockaddr_un()
    // The rest of the field is zero, so the path is terminated.
    guard path.count < MemoryLayout.size(ofValue: address.sun_path) else {
        throw SystemError(errno: .fileNameTooLong, call: "unix socket", subject: name)
    }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    try check("unix socket", name) {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

extension OwnedFD {
    /// Sends over a connected socket what there is room for; 0 is nothing at the moment. A lost connection is an error
    /// (`.brokenPipe`), never a signal.
    public func sendAvailable(_ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        do {
            return try check("send") {
                Glibc.send(raw, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return 0 }
            throw error
        }
    }

    /// Sends everything over a connected socket, waiting where there is no room. A lost connection is an error
    /// (`.brokenPipe`), never a signal.
    public func sendAll(_ bytes: [UInt8]) throws(SystemError) {
        var sent = 0
        while sent < bytes.count {
            sent += try check("send") {
                bytes.withUnsafeBytes { Glibc.send(raw, $0.baseAddress?.advanced(by: sent), bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            }
        }
    }

    /// Tells the other side of a connected socket that nothing more will come.
    public func shutdownSending() throws(SystemError) {
        try check("shutdown") { shutdown(raw, Int32(SHUT_WR)) }
    }

    /// Neither sends nor takes anything more over a connected socket.
    public func shutdownBoth() throws(SystemError) {
        try check("shutdown") { shutdown(raw, Int32(SHUT_RDWR)) }
    }
}
