import SystemPackage

/// A network device.
public struct Link: Sendable, Equatable {
    public let index: UInt32
    public let name: String
    public let isUp: Bool
    /// The index of the bridge that the device is a port of; 0 for none.
    public let master: UInt32
    public let mtu: UInt32
    /// `bridge`, `veth`; empty for devices without such a kind.
    public let kind: String
    public let hardwareAddress: [UInt8]
    public let counters: LinkCounters
}

/// What went through a device since it was made.
public struct LinkCounters: Sendable, Equatable {
    public var receivedPackets: UInt64
    public var sentPackets: UInt64
    public var receivedBytes: UInt64
    public var sentBytes: UInt64
    public var receiveErrors: UInt64
    public var sendErrors: UInt64
    public var receiveDropped: UInt64
    public var sendDropped: UInt64

    public init(
        receivedPackets: UInt64 = 0, sentPackets: UInt64 = 0, receivedBytes: UInt64 = 0, sentBytes: UInt64 = 0,
        receiveErrors: UInt64 = 0, sendErrors: UInt64 = 0, receiveDropped: UInt64 = 0, sendDropped: UInt64 = 0
    ) {
        self.receivedPackets = receivedPackets
        self.sentPackets = sentPackets
        self.receivedBytes = receivedBytes
        self.sentBytes = sentBytes
        self.receiveErrors = receiveErrors
        self.sendErrors = sendErrors
        self.receiveDropped = receiveDropped
        self.sendDropped = sendDropped
    }
}

/// A pair of devices that are the two ends of one cable.
public struct VethPair: Sendable {
    /// The end in the socket's own namespace.
    public var name: String
    /// The bridge that it becomes a port of.
    public var master: UInt32
    public var peerName: String
    public var peerHardwareAddress: [UInt8]
    /// The namespace of the other end, as a descriptor of this process.
    public var peerNamespace: Int32
    public var mtu: UInt32
    /// Whether the end here is up from the beginning. The other one never is.
    public var isUp: Bool
    /// The group of devices that the end here belongs to.
    public var group: UInt32

    public init(
        name: String, master: UInt32, peerName: String, peerHardwareAddress: [UInt8], peerNamespace: Int32, mtu: UInt32, isUp: Bool = true,
        group: UInt32 = 0
    ) {
        self.group = group
        self.name = name
        self.isUp = isUp
        self.master = master
        self.peerName = peerName
        self.peerHardwareAddress = peerHardwareAddress
        self.peerNamespace = peerNamespace
        self.mtu = mtu
    }
}

extension RouteSocket {
    /// Makes a bridge that is down and without addresses. A fixed hardware address, as the bridge's own would change
    /// with its ports.
    public mutating func createBridge(_ name: String, hardwareAddress: [UInt8]) throws(SystemError) {
        try socket.perform(.createBridge(name, hardwareAddress: hardwareAddress))
    }

    /// Makes the pair, moves one end away, which stays down, puts the other one into its bridge and sets it up: all or
    /// nothing.
    public mutating func createVeth(_ pair: VethPair) throws(SystemError) {
        try socket.perform(.createVeth(pair))
    }

    public mutating func setUp(_ link: UInt32) throws(SystemError) {
        try socket.perform(
            .link(RouteSocket.Message.newLink, [], "set up link \(link)", index: link, flags: LinkFlags.up))
    }

    public mutating func setUp(_ name: String) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], "set up link \(name)", flags: LinkFlags.up)
        message.put(LinkAttribute.name, name)
        try socket.perform(message)
    }

    /// The same for a device that may take every frame for its own, and does not ask for the addresses of neighbours.
    public mutating func setUp(_ link: UInt32, asksNeighbours: Bool) throws(SystemError) {
        if asksNeighbours { return try setUp(link) }
        try socket.perform(
            .link(RouteSocket.Message.newLink, [], "set up link \(link)", index: link, flags: LinkFlags.up | LinkFlags.noNeighbours))
    }

    public mutating func setHardwareAddress(_ link: UInt32, _ address: [UInt8]) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], "set hardware address of link \(link)", index: link)
        message.put(LinkAttribute.hardwareAddress, address)
        try socket.perform(message)
    }

    public mutating func setMTU(_ link: UInt32, _ mtu: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], "set mtu of link \(link)", index: link)
        message.put(LinkAttribute.mtu, mtu)
        try socket.perform(message)
    }

    /// Makes the device a port of the bridge and sets it up.
    public mutating func setMaster(_ link: UInt32, _ master: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(
            RouteSocket.Message.newLink, [], "set master of link \(link)", index: link, flags: LinkFlags.up)
        message.put(LinkAttribute.master, master)
        try socket.perform(message)
    }

    /// Has a bridge pass on frames to groups to everybody, whoever says that he alone knows the members (no multicast snooping).
    public mutating func floodGroups(_ bridge: UInt32) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], "set multicast snooping of bridge \(bridge)", index: bridge)
        message.nest(LinkAttribute.info) { info in
            info.put(LinkAttribute.infoKind, "bridge")
            info.nest(LinkAttribute.infoData) { $0.put(LinkAttribute.bridgeSnooping, [UInt8(0)]) }
        }
        try socket.perform(message)
    }

    /// Lets a port of a bridge send frames back to where they came from.
    public mutating func setHairpin(_ name: String) throws(SystemError) {
        try setBridgePort(name, LinkAttribute.bridgePortMode, "set hairpin mode of link \(name)")
    }

    /// Keeps a port of a bridge from reaching the other ports that are isolated as well; the host still reaches all.
    public mutating func setIsolated(_ name: String) throws(SystemError) {
        try setBridgePort(name, LinkAttribute.bridgePortIsolated, "isolate link \(name)")
    }

    private mutating func setBridgePort(_ name: String, _ setting: UInt16, _ purpose: String) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], purpose)
        message.put(LinkAttribute.name, name)
        message.nest(LinkAttribute.info) { info in
            info.put(LinkAttribute.infoPortKind, "bridge")
            info.nest(LinkAttribute.infoPortData) { $0.put(setting, UInt8(1)) }
        }
        try socket.perform(message)
    }

    /// Moves the device to another network namespace, under a new name; `%d` in it becomes the first free number. It is
    /// down afterwards and has lost its addresses.
    public mutating func move(_ link: UInt32, to namespace: borrowing OwnedFD, name: String) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [], "move link \(link)", index: link)
        message.put(LinkAttribute.name, name)
        message.put(LinkAttribute.namespace, namespace.raw)
        try socket.perform(message)
    }

    /// Not an error when the device is gone already: those of a container end with its namespace.
    public mutating func deleteLink(_ link: UInt32) throws(SystemError) {
        do {
            try socket.perform(.link(RouteSocket.Message.deleteLink, [], "delete link \(link)", index: link))
        } catch {
            if error.errno != .operationNotSupportedByDevice { throw error }  // ENODEV
        }
    }

    /// Nil when there is no such device.
    public mutating func link(named name: String) throws(SystemError) -> Link? {
        var message = NetlinkMessage.link(RouteSocket.Message.getLink, [], "get link \(name)")
        message.put(LinkAttribute.name, name)
        do {
            return try socket.query(message).first.map { reply throws(SystemError) in try Link(reply) }
        } catch {
            if error.errno == .operationNotSupportedByDevice { return nil }  // ENODEV
            throw error
        }
    }

    public mutating func links() throws(SystemError) -> [Link] {
        var links: [Link] = []
        for reply in try socket.dump(.link(RouteSocket.Message.getLink, [], "list links")) {
            links.append(try Link(reply))
        }
        return links
    }
}

enum LinkFlags {
    static let up: UInt32 = 1
    /// IFF_NOARP
    static let noNeighbours: UInt32 = 0x80
}

enum LinkAttribute {
    static let hardwareAddress: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let parent: UInt16 = 5
    static let master: UInt16 = 10
    static let info: UInt16 = 18
    static let statistics: UInt16 = 23
    static let namespace: UInt16 = 28
    static let infoKind: UInt16 = 1
    static let infoData: UInt16 = 2
    static let bridgeSnooping: UInt16 = 23
    static let group: UInt16 = 27
    static let infoPortKind: UInt16 = 4
    static let infoPortData: UInt16 = 5
    static let bridgePortMode: UInt16 = 4
    static let bridgePortIsolated: UInt16 = 33
    static let vethPeer: UInt16 = 1
}

extension NetlinkMessage {
    /// `struct ifinfomsg`: u8 family, u8, u16 type, u32 index, u32 flags, u32 which flags change.
    fileprivate static func linkHeader(index: UInt32 = 0, flags: UInt32 = 0) -> [UInt8] {
        [0, 0, 0, 0] + index.nativeBytes + flags.nativeBytes + flags.nativeBytes
    }

    static func link(
        _ type: UInt16, _ flags: NetlinkFlags, _ purpose: String, index: UInt32 = 0, flags linkFlags: UInt32 = 0
    ) -> NetlinkMessage {
        NetlinkMessage(
            type: type, flags: flags.union(.request), purpose: purpose,
            familyHeader: linkHeader(index: index, flags: linkFlags))
    }

    static func createBridge(_ name: String, hardwareAddress: [UInt8]) -> NetlinkMessage {
        var message = link(RouteSocket.Message.newLink, [.create, .exclusive], "create bridge \(name)")
        message.put(LinkAttribute.name, name)
        message.put(LinkAttribute.hardwareAddress, hardwareAddress)
        message.nest(LinkAttribute.info) { $0.put(LinkAttribute.infoKind, "bridge") }
        return message
    }

    static func createVeth(_ pair: VethPair) -> NetlinkMessage {
        var message = link(
            RouteSocket.Message.newLink, [.create, .exclusive], "create link \(pair.name)", flags: pair.isUp ? LinkFlags.up : 0)
        message.put(LinkAttribute.name, pair.name)
        message.put(LinkAttribute.mtu, pair.mtu)
        message.put(LinkAttribute.master, pair.master)
        if pair.group != 0 { message.put(LinkAttribute.group, pair.group) }
        message.nest(LinkAttribute.info) { info in
            info.put(LinkAttribute.infoKind, "veth")
            info.nest(LinkAttribute.infoData) { data in
                data.nest(LinkAttribute.vethPeer) { peer in
                    peer.append(raw: linkHeader())
                    peer.put(LinkAttribute.name, pair.peerName)
                    peer.put(LinkAttribute.hardwareAddress, pair.peerHardwareAddress)
                    peer.put(LinkAttribute.mtu, pair.mtu)
                    peer.put(LinkAttribute.namespace, pair.peerNamespace)
                }
            }
        }
        return message
    }
}

extension Link {
    init(_ reply: NetlinkReply) throws(SystemError) {
        let attributes = try reply.attributes(after: 16)
        let info = try attributes.nested(LinkAttribute.info)
        self.init(
            index: UInt32(nativeBytes: reply.payload[4..<8]),
            name: attributes.string(LinkAttribute.name) ?? "",
            isUp: UInt32(nativeBytes: reply.payload[8..<12]) & LinkFlags.up != 0,
            master: attributes.integer(LinkAttribute.master) ?? 0,
            mtu: attributes.integer(LinkAttribute.mtu) ?? 0,
            kind: info?.string(LinkAttribute.infoKind) ?? "",
            hardwareAddress: attributes.bytes(LinkAttribute.hardwareAddress).map(Array.init) ?? [],
            counters: attributes.bytes(LinkAttribute.statistics).map(LinkCounters.init) ?? LinkCounters())
    }
}

extension LinkCounters {
    /// `struct rtnl_link_stats64` begins with these eight numbers.
    init(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= 64 else {
            self.init()
            return
        }
        let numbers = (0..<8).map { UInt64(nativeBytes: bytes.dropFirst($0 * 8).prefix(8)) }
        self.init(
            receivedPackets: numbers[0], sentPackets: numbers[1], receivedBytes: numbers[2], sentBytes: numbers[3],
            receiveErrors: numbers[4], sendErrors: numbers[5], receiveDropped: numbers[6], sendDropped: numbers[7])
    }
}
