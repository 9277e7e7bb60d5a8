import SystemPackage

/// The kernel's memory of connections, in the calling thread's network namespace.
public enum ConnectionTracking {
    /// Forgets the UDP connections to the host's own addresses and one of these ports, so that their next packet is
    /// looked at anew.
    public static func forgetUDP(toOwnPorts ports: Set<UInt16>) throws(SystemError) {
        var route = try RouteSocket()
        let own = Set(try route.addresses().map(\.prefix.address))
        try forget { ports.contains($0.port) && (own.contains($0.destination) || $0.destination.bytes[0] == 127) }
    }

    /// Forgets the UDP connections to an address and one of these ports.
    public static func forgetUDP(to address: IPAddress, ports: Set<UInt16>) throws(SystemError) {
        try forget([address.family]) { $0.destination == address && ports.contains($0.port) }
    }

    /// Forgets all UDP connections of these addresses, those that they began as well, so that whoever has them next gets nothing of
    /// them.
    public static func forgetUDP(of isMeant: (IPAddress) -> Bool) throws(SystemError) {
        try forget { isMeant($0.source) || $0.answerer.map(isMeant) == true }
    }

    /// The kernel goes through all that it has room for, which takes it milliseconds.
    private static func forget(_ families: [AddressFamily] = AddressFamily.allCases, where isMeant: (TrackedConnection) -> Bool) throws(SystemError) {
        var socket = try NetlinkSocket(.netfilter)
        for family in families {
            let replies = try socket.dump(.udpConnections(family)) { reply in
                // What cannot be read is none of ours.
                guard let connection = try? TrackedConnection(reply) else { return false }
                return connection.transport == udp && isMeant(connection)
            }
            for reply in replies { try forget(reply, family, &socket) }
        }
    }

    fileprivate static let udp: UInt8 = 17

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
        static let answer: UInt16 = 2
        static let id: UInt16 = 12
        static let filter: UInt16 = 25
        static let originalFilter: UInt16 = 1
        static let address: UInt16 = 1
        static let transport: UInt16 = 2
        static let source4: UInt16 = 1
        static let destination4: UInt16 = 2
        static let source6: UInt16 = 3
        static let destination6: UInt16 = 4
        static let number: UInt16 = 1
        static let destinationPort: UInt16 = 3
    }
}

/// From where to where the first packet of a connection wanted to go, and who answers it.
struct TrackedConnection: Equatable {
    let transport: UInt8
    let source: IPAddress
    let destination: IPAddress
    let port: UInt16
    /// Another one than the destination where that was changed.
    let answerer: IPAddress?

    /// Nil for connections without ports.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        typealias Attribute = ConnectionTracking.Attribute
        guard let original = try reply.attributes(after: 4).nested(Attribute.original),
            let addresses = try original.nested(Attribute.address),
            let protocols = try original.nested(Attribute.transport),
            let source = Self.source(addresses),
            let destination = (addresses.bytes(Attribute.destination4) ?? addresses.bytes(Attribute.destination6)).flatMap({ IPAddress(bytes: $0) }),
            let number = protocols.integer(Attribute.number, as: UInt8.self),
            let port = protocols.bigEndian(Attribute.destinationPort, as: UInt16.self)
        else { return nil }
        transport = number
        self.source = source
        self.destination = destination
        self.port = port
        answerer = try reply.attributes(after: 4).nested(Attribute.answer)?.nested(Attribute.address).flatMap(Self.source)
    }

    private static func source(_ addresses: NetlinkAttributes) -> IPAddress? {
        (addresses.bytes(ConnectionTracking.Attribute.source4) ?? addresses.bytes(ConnectionTracking.Attribute.source6)).flatMap {
            IPAddress(bytes: $0)
        }
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

    /// A list of those of UDP.
    fileprivate static func udpConnections(_ family: AddressFamily) -> NetlinkMessage {
        typealias Attribute = ConnectionTracking.Attribute
        var message = connections(.get, family, "list connections")
        message.nest(Attribute.original) { tuple in tuple.nest(Attribute.transport) { $0.put(Attribute.number, ConnectionTracking.udp) } }
        // CTA_FILTER_F_CTA_PROTO_NUM: what of the tuple counts. Addresses of IPv6 could not: the kernel leaves out those that it is
        // asked for.
        message.nest(Attribute.filter) { $0.put(Attribute.originalFilter, UInt32(1 << 3)) }
        return message
    }
}
