import SystemPackage

/// A socket that keeps others from a port: one that listens, or is bound and has no peer.
public struct OpenPort: Sendable, Equatable {
    public let address: IPAddress
    public let port: UInt16
    /// A socket of IPv6 that takes what comes by IPv4 as well.
    public let isOfBothFamilies: Bool

    public init(address: IPAddress, port: UInt16, isOfBothFamilies: Bool = false) {
        (self.address, self.port, self.isOfBothFamilies) = (address, port, isOfBothFamilies)
    }
}

/// What the kernel tells of the sockets in the calling thread's network namespace.
public enum SocketDiagnostics {
    /// All such sockets of a protocol. `ENOENT` where the kernel cannot tell about it.
    public static func openPorts(_ transport: Transport) throws(SystemError) -> [OpenPort] {
        var socket = try NetlinkSocket(.diagnostics)
        var ports: [OpenPort] = []
        for family in AddressFamily.allCases {
            for reply in try socket.dump(.openPorts(transport, family)) { if let port = try OpenPort(reply) { ports.append(port) } }
        }
        return ports
    }
}

extension OpenPort {
    /// `struct inet_diag_msg`: u8 family, u8 state, u8, u8, u16 port, u16, 16 bytes address, …; 72 bytes in all.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        guard reply.payload.count >= 72 else { return nil }
        let bytes = Array(reply.payload.prefix(24))
        let isV4 = bytes[0] == AddressFamily.v4.rawValue
        guard let address = IPAddress(bytes: isV4 ? bytes[8..<12] : bytes[8..<24]) else { return nil }
        // INET_DIAG_SKV6ONLY
        let isAlone = try reply.attributes(after: 72).integer(11, as: UInt8.self) ?? 1
        self.init(address: address, port: UInt16(bytes[4]) << 8 | UInt16(bytes[5]), isOfBothFamilies: !isV4 && isAlone == 0)
    }
}

extension NetlinkMessage {
    /// SOCK_DIAG_BY_FAMILY with `struct inet_diag_req_v2`: u8 family, u8 protocol, u8, u8, u32 states, 48 bytes of one socket's id.
    static func openPorts(_ transport: Transport, _ family: AddressFamily) -> NetlinkMessage {
        let proto: UInt8 =
            switch transport {
            case .tcp: 6
            case .udp: 17
            case .sctp: 132
            }
        // Closed, which is what a UDP socket without a peer is; listening; bound and not listening (from Linux 6.8 on).
        let states: UInt32 = transport == .udp ? 1 << 7 : 1 << 10 | 1 << 13
        return NetlinkMessage(
            type: 20, flags: .request, purpose: "list open ports",
            familyHeader: [family.rawValue, proto, 0, 0] + states.nativeBytes + [UInt8](repeating: 0, count: 48))
    }
}
