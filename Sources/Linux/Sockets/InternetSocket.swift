import CLinux
import Glibc
import SystemPackage

/// An address and a port.
public struct SocketAddress: Hashable, Sendable {
    public let address: IPAddress
    public let port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// A UDP or TCP socket that never waits: what cannot be done now is said to be so. It belongs for good to the network
/// namespace of the thread that opened it.
public struct InternetSocket: Sendable {
    private let descriptor: SharedFD

    /// For epoll; valid as long as a copy of this value lives.
    public var raw: Int32 { descriptor.raw }

    public init(_ transport: Transport, _ family: AddressFamily) throws(SystemError) {
        let kind = (transport == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let raw = try check("socket", "\(transport)") { socket(Int32(family.rawValue), Int32(kind), 0) }
        descriptor = SharedFD(OwnedFD(adopting: raw))
    }

    private init(adopting descriptor: consuming OwnedFD) {
        self.descriptor = SharedFD(descriptor)
    }

    /// Port 0 lets the kernel choose.
    public func bind(_ address: SocketAddress) throws(SystemError) {
        try check("bind", "\(address.address):\(address.port)") {
            withSocketAddress(address) { Glibc.bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), $1) }
        }
    }

    public func listen() throws(SystemError) {
        try check("listen") { Glibc.listen(raw, 16) }
    }

    /// Connects, or begins to: a TCP socket then becomes writable.
    public func connect(_ address: SocketAddress) throws(SystemError) {
        do {
            try check("connect", "\(address.address):\(address.port)") {
                withSocketAddress(address) { Glibc.connect(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), $1) }
            }
        } catch {
            if error.errno != .nowInProgress { throw error }
        }
    }

    /// Waits until the socket can be written to, or read from; false when the time is over first.
    public func wait(forReading: Bool, milliseconds: Int32) throws(SystemError) -> Bool {
        var entry = pollfd(fd: raw, events: Int16(forReading ? POLLIN : POLLOUT), revents: 0)
        return try check("poll") { poll(&entry, 1, milliseconds) } > 0
    }

    /// How a connection that was begun has turned out; throws why there is none.
    public func finishConnecting() throws(SystemError) {
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        try check("getsockopt") { getsockopt(raw, SOL_SOCKET, SO_ERROR, &error, &size) }
        if error != 0 { throw SystemError(errno: Errno(rawValue: error), call: "connect") }
    }

    /// The next connection; nil when none is waiting.
    public func accept() throws(SystemError) -> InternetSocket? {
        let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        do {
            let accepted = try check("accept4") { accept4(raw, __SOCKADDR_ARG(), nil, flags) }
            return InternetSocket(adopting: OwnedFD(adopting: accepted))
        } catch {
            switch error.errno {
            case .wouldBlock, .resourceTemporarilyUnavailable, .connectionAbort: return nil
            default: throw error
            }
        }
    }

    /// The port that the socket is bound to.
    public func port() throws(SystemError) -> UInt16 {
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        try check("getsockname") {
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &size)
                }
            }
        }
        return UInt16(bigEndian: name.sin6_port)  // At the same place for both families.
    }

    /// One datagram with its sender; nil when none is waiting. What is longer than `limit` is cut off.
    public func receive(limit: Int) throws(SystemError) -> (bytes: [UInt8], sender: SocketAddress?)? {
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        var bytes = [UInt8](repeating: 0, count: limit)
        do {
            let count = try check("recvfrom") {
                withUnsafeMutablePointer(to: &name) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(raw, &bytes, limit, 0, __SOCKADDR_ARG(__sockaddr__: $0), &size)
                    }
                }
            }
            bytes.removeLast(limit - count)
            return (bytes, Self.sender(name))
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    private static func sender(_ name: sockaddr_in6) -> SocketAddress? {
        let port = UInt16(bigEndian: name.sin6_port)
        switch Int32(name.sin6_family) {
        case AF_INET:
            let bytes = withUnsafeBytes(of: name) { Array($0[4..<8]) }
            return IPAddress(bytes: bytes).map { SocketAddress($0, port: port) }
        case AF_INET6:
            let bytes = withUnsafeBytes(of: name.sin6_addr) { Array($0) }
            return IPAddress(bytes: bytes).map { SocketAddress($0, port: port) }
        default: return nil
        }
    }

    /// Sends one datagram, to the other end of a connected socket when no address is given. One that does not fit is lost,
    /// as datagrams are.
    public func send(_ bytes: [UInt8], to address: SocketAddress? = nil) throws(SystemError) {
        do {
            try check("sendto") {
                guard let address else { return Glibc.send(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
                return withSocketAddress(address) {
                    sendto(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), __CONST_SOCKADDR_ARG(__sockaddr__: $0), $1)
                }
            }
        } catch {
            if error.errno != .wouldBlock && error.errno != .resourceTemporarilyUnavailable { throw error }
        }
    }

    /// Reads what a stream has; nil when nothing waits, empty at its end.
    public func read(limit: Int) throws(SystemError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: limit)
        do {
            let count = try check("recv") { recv(raw, &bytes, limit, 0) }
            bytes.removeLast(limit - count)
            return bytes
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    /// Writes to a stream what there is room for and says how much that was.
    public func write(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
        do {
            return try check("send") {
                bytes.withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            }
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return 0 }
            throw error
        }
    }
}

/// The address in the kernel's form.
private func withSocketAddress<T>(_ address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
    var name = sockaddr_in6()
    let bytes = address.address.bytes
    name.sin6_family = sa_family_t(address.address.family.rawValue)
    name.sin6_port = address.port.bigEndian
    // An IPv4 address stands right after the port, an IPv6 one after the flow label.
    withUnsafeMutableBytes(of: &name) { whole in
        UnsafeMutableRawBufferPointer(rebasing: whole[(bytes.count == 4 ? 4 : 8)...]).copyBytes(from: bytes)
    }
    let size = socklen_t(bytes.count == 4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
    return withUnsafePointer(to: name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, size) }
    }
}
