/// An address of a network device.
public struct LinkAddress: Sendable, Hashable {
    public let link: UInt32
    public let prefix: IPPrefix

    public init(link: UInt32, prefix: IPPrefix) {
        self.link = link
        self.prefix = prefix
    }
}

extension RouteSocket {
    /// Adds the address; not an error when it is there. IPv6 addresses are usable at once, without duplicate detection.
    public mutating func addAddress(_ prefix: IPPrefix, to link: UInt32) throws(SystemError) {
        try socket.perform(.addAddress(prefix, to: link))
    }

    public mutating func deleteAddress(_ prefix: IPPrefix, from link: UInt32) throws(SystemError) {
        var message = NetlinkMessage(
            type: RouteSocket.Message.deleteAddress, flags: .request, purpose: "delete address \(prefix)",
            familyHeader: [prefix.address.family.rawValue, UInt8(prefix.length), 0, 0] + link.nativeBytes)
        message.put(AddressAttribute.local, prefix.address.bytes)
        try socket.perform(message)
    }

    /// The addresses of all devices, both families.
    public mutating func addresses() throws(SystemError) -> [LinkAddress] {
        var addresses: [LinkAddress] = []
        for reply in try socket.dump(.listAddresses) {
            if let address = try LinkAddress(reply) { addresses.append(address) }
        }
        return addresses
    }

    /// The addresses of a device that somebody gave it for the whole world: neither those that it made up itself nor those
    /// of one cable or this machine.
    public mutating func permanentAddresses(of link: UInt32) throws(SystemError) -> [IPPrefix] {
        var addresses: [IPPrefix] = []
        for reply in try socket.dump(.listAddresses) {
            guard let address = try LinkAddress(reply), address.link == link else { continue }
            let flags = try reply.attributes(after: 8).integer(AddressAttribute.flags) ?? UInt32(reply.payload[2])
            let isPermanent = flags & 0x80 != 0  // IFA_F_PERMANENT
            let isGlobal = reply.payload[3] == 0  // RT_SCOPE_UNIVERSE
            if isPermanent && isGlobal { addresses.append(address.prefix) }
        }
        return addresses
    }
}

enum AddressAttribute {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let broadcast: UInt16 = 4
    static let flags: UInt16 = 8
}

extension NetlinkMessage {
    private static let withoutDuplicateDetection: UInt32 = 2

    fileprivate static var listAddresses: NetlinkMessage {
        NetlinkMessage(
            type: RouteSocket.Message.getAddress, flags: .request, purpose: "list addresses",
            familyHeader: [UInt8](repeating: 0, count: 8))
    }

    /// `struct ifaddrmsg`: u8 family, u8 prefix length, u8 flags, u8 scope, u32 index.
    static func addAddress(_ prefix: IPPrefix, to link: UInt32) -> NetlinkMessage {
        let address = prefix.address
        var message = NetlinkMessage(
            type: RouteSocket.Message.newAddress, flags: [.request, .create, .replace],
            purpose: "add address \(prefix)",
            familyHeader: [address.family.rawValue, UInt8(prefix.length), 0, 0] + link.nativeBytes)
        message.put(AddressAttribute.local, address.bytes)
        message.put(AddressAttribute.address, address.bytes)
        if address.isV4 {
            let last = zip(prefix.networkBytes, prefix.maskBytes).map { $0 | ~$1 }
            message.put(AddressAttribute.broadcast, last)
        } else {
            message.put(AddressAttribute.flags, withoutDuplicateDetection)
        }
        return message
    }
}

extension LinkAddress {
    /// Nil for families that we do not know.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        let attributes = try reply.attributes(after: 8)
        // Of the two the local one is ours; the other is the far end of a point-to-point link.
        guard let bytes = attributes.bytes(AddressAttribute.local) ?? attributes.bytes(AddressAttribute.address),
            let address = IPAddress(bytes: bytes), let prefix = IPPrefix(address, length: Int(reply.payload[1]))
        else { return nil }
        self.init(link: UInt32(nativeBytes: reply.payload[4..<8]), prefix: prefix)
    }
}
