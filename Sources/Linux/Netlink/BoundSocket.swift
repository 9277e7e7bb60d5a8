import Glibc
import SystemPackage

/// The transport of a port.
public enum Transport: Sendable, Hashable {
    case tcp
    case udp
    case sctp
}

/// A port of the host that is taken without anybody listening: other programs get `EADDRINUSE` as long as the value
/// lives.
public struct BoundSocket: ~Copyable, Sendable {
    private let descriptor: OwnedFD
    /// The port, also where the kernel chose it.
    public let port: UInt16

    /// Takes the port in the calling thread's network namespace; port 0 lets the kernel choose. An IPv6 address takes
    /// nothing of IPv4, unless it is `::` and says so: then it takes the port at all addresses of both families.
    public init(_ address: IPAddress, port: UInt16, _ transport: Transport, ofBothFamilies: Bool = false) throws(SystemError) {
        let descriptor = try Self.open(address, transport, isAlone: !ofBothFamilies)
        let raw = descriptor.raw
        let subject = "\(address):\(port)"
        do throws(SystemError) {
            try Self.bind(raw, address, port, subject)
        } catch  where error.errno == .addressInUse {
            // Copies of closed sockets in a child that is about to become another program do not count.
            awaitSpawns()
            // Neither do the remains of closed connections of another program (TIME_WAIT), but a living socket does.
            if transport != .udp { try Self.setReuse(raw, true) }
            try Self.bind(raw, address, port, subject)
            if transport != .udp { try Self.setReuse(raw, false) }
        }
        self.port = try Self.boundPort(raw)
        self.descriptor = descriptor
    }

    private static func open(_ address: IPAddress, _ transport: Transport, isAlone: Bool) throws(SystemError) -> OwnedFD {
        let kind = Int32((transport == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let number = transport == .sctp ? Int32(IPPROTO_SCTP) : 0
        let raw = try check("socket", "\(transport)") { socket(Int32(address.family.rawValue), kind, number) }
        let descriptor = OwnedFD(adopting: raw)
        if !address.isV4 {
            var isAlone: Int32 = isAlone ? 1 : 0
            try check("setsockopt", "IPV6_V6ONLY") {
                setsockopt(raw, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &isAlone, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        return descriptor
    }

    private static func setReuse(_ raw: Int32, _ reuse: Bool) throws(SystemError) {
        var value: Int32 = reuse ? 1 : 0
        try check("setsockopt", "SO_REUSEADDR") {
            setsockopt(raw, SOL_SOCKET, SO_REUSEADDR, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private static func bind(_ raw: Int32, _ address: IPAddress, _ port: UInt16, _ subject: String)
        throws(SystemError)
    {
        if address.isV4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.bytes) }
            try bind(raw, &name, subject)
        } else {
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
            try bind(raw, &name, subject)
        }
    }

    private static func bind<T>(_ raw: Int32, _ name: inout T, _ subject: String) throws(SystemError) {
        let size = socklen_t(MemoryLayout<T>.size)
        try check("bind", subject) {
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0), size)
                }
            }
        }
    }

    /// The port stands at the same place for both families.
    private static func boundPort(_ raw: Int32) throws(SystemError) -> UInt16 {
        var name = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        try check("getsockname") {
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(raw, __SOCKADDR_ARG(__sockaddr__: $0), &size)
                }
            }
        }
        return UInt16(bigEndian: name.sin6_port)
    }
}
