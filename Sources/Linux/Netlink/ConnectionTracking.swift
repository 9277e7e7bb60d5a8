import SystemPackage

/// The kernel's memory of connections, in the calling thread's network namespace.
public enum ConnectionTracking {
    /// Forgets the UDP connections to the host's own addresses and one of these ports, so that their next packet is
    /// looked at anew.
    public static func forgetUDP(toOwnPorts ports: Set<UInt16>) throws(SystemError) {
        var route = try RouteSocket()
        let own = Set(try route.addresses().map(\.prefix.address))
        var socket = try NetlinkSocket(.netfilter)
        for family in AddressFamily.allCases {
            let replies = try socket.dump(.connections(.get, family, "list connections")) { reply in
                // What cannot be read is none of ours.
                guard let connection = try? TrackedConnection(reply) else { return false }
                return connection.transport == udp && ports.contains(connection.port)
                    && (own.contains(connection.destination) || connection.destination.bytes[0] == 127)
            }
            for reply in replies { try forget(reply, family, &socket) }
        }
    }

    private static let udp: UInt8 = 17

    private static func forget(
        _ reply: NetlinkReply, _ family: AddressFamily, _ socket: inout NetlinkSocket
    ) throws(SystemError) {
        let attributes = try reply.attributes(after: 4)
        guard let tuple = attributes.bytes(Attribute.original) else { return }
        var message = NetlinkMessage.connections(.delete, family, "forget a connection")
        message.nest(Attribute.original) { $0.append(raw: Array(tuple)) }
        if let id = attributes.bytes(Attribute.id) { message.put(Attribute.id, id) }
        do {
            try socket.perform(message)
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }  // It has ended meanwhile.
        }
    }

    fileprivate enum Attribute {
        static let original: UInt16 = 1
        static let id: UInt16 = 12
        static let address: UInt16 = 1
        static let transport: UInt16 = 2
        static let destination4: UInt16 = 2
        static let destination6: UInt16 = 4
        static let number: UInt16 = 1
        static let destinationPort: UInt16 = 3
    }
}

/// Where the first packet of a connection wanted to go.
struct TrackedConnection: Equatable {
    let transport: UInt8
    let destination: IPAddress
    let port: UInt16

    /// Nil for connections without ports.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        typealias Attribute = ConnectionTracking.Attribute
        guard let original = try reply.attributes(after: 4).nested(Attribute.original),
            let addresses = try original.nested(Attribute.address),
            let protocols = try original.nested(Attribute.transport),
            let bytes = addresses.bytes(Attribute.destination4) ?? addresses.bytes(Attribute.destination6),
            let destination = IPAddress(bytes: bytes), let number = protocols.integer(Attribute.number, as: UInt8.self),
            let port = protocols.bigEndian(Attribute.destinationPort, as: UInt16.self)
        else { return nil }
        transport = number
        self.destination = destination
        self.port = port
    }
}

extension NetlinkMessage {
    enum ConnectionMessage: UInt16 {
        case get = 1
        case delete = 2
    }

    static func connections(
        _ type: ConnectionMessage, _ family: AddressFamily, _ purpose: String
    ) -> NetlinkMessage {
        let subsystem: UInt16 = 1
        return NetlinkMessage(
            type: subsystem << 8 | type.rawValue, flags: .request, purpose: purpose,
            familyHeader: [family.rawValue, 0, 0, 0])
    }
}
