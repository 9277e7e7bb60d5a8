/// A device that shares the cable of another one.
public struct ChildLink: Sendable {
    public enum Kind: Sendable, Equatable {
        case macvlan(MacvlanMode)
        case ipvlan(IpvlanMode, IpvlanFlag)
    }

    /// How devices on one parent see each other. The numbers are the kernel's.
    public enum MacvlanMode: UInt32, Sendable {
        case `private` = 1
        case vepa = 2
        case bridge = 4
        case passthru = 8
    }

    public enum IpvlanMode: UInt16, Sendable {
        case l2 = 0
        case l3 = 1
        case l3s = 2
    }

    public enum IpvlanFlag: UInt16, Sendable {
        case bridge = 0
        case `private` = 1
        case vepa = 2
    }

    public var kind: Kind
    public var name: String
    public var parent: UInt32
    /// Empty is one of the kernel's choice; those of ipvlan are the parent's.
    public var hardwareAddress: [UInt8]
    /// The namespace that the device is made in, as a descriptor of this process.
    public var namespace: Int32
    public var mtu: UInt32

    public init(kind: Kind, name: String, parent: UInt32, hardwareAddress: [UInt8], namespace: Int32, mtu: UInt32) {
        self.kind = kind
        self.name = name
        self.parent = parent
        self.hardwareAddress = hardwareAddress
        self.namespace = namespace
        self.mtu = mtu
    }
}

extension RouteSocket {
    /// Makes the device in its namespace, on a parent in the socket's own; it stays down.
    public mutating func createChild(_ child: ChildLink) throws(SystemError) {
        try socket.perform(.createChild(child))
    }

    /// A device that leads nowhere, for networks that have no parent.
    public mutating func createDummy(_ name: String) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [.create, .exclusive], "create link \(name)", flags: LinkFlags.up)
        message.put(LinkAttribute.name, name)
        message.nest(LinkAttribute.info) { $0.put(LinkAttribute.infoKind, "dummy") }
        try socket.perform(message)
    }

    /// A device for one VLAN of a parent.
    public mutating func createVLAN(_ name: String, parent: UInt32, id: UInt16) throws(SystemError) {
        var message = NetlinkMessage.link(RouteSocket.Message.newLink, [.create, .exclusive], "create link \(name)", flags: LinkFlags.up)
        message.put(LinkAttribute.name, name)
        message.put(LinkAttribute.parent, parent)
        message.nest(LinkAttribute.info) { info in
            info.put(LinkAttribute.infoKind, "vlan")
            info.nest(LinkAttribute.infoData) { $0.put(1, id) }
        }
        try socket.perform(message)
    }
}

extension NetlinkMessage {
    static func createChild(_ child: ChildLink) -> NetlinkMessage {
        var message = link(RouteSocket.Message.newLink, [.create, .exclusive], "create link \(child.name)")
        message.put(LinkAttribute.name, child.name)
        message.put(LinkAttribute.parent, child.parent)
        message.put(LinkAttribute.namespace, child.namespace)
        message.put(LinkAttribute.mtu, child.mtu)
        if !child.hardwareAddress.isEmpty { message.put(LinkAttribute.hardwareAddress, child.hardwareAddress) }
        message.nest(LinkAttribute.info) { info in
            switch child.kind {
            case .macvlan(let mode):
                info.put(LinkAttribute.infoKind, "macvlan")
                info.nest(LinkAttribute.infoData) { $0.put(1, mode.rawValue) }
            case .ipvlan(let mode, let flag):
                info.put(LinkAttribute.infoKind, "ipvlan")
                info.nest(LinkAttribute.infoData) {
                    $0.put(1, mode.rawValue)
                    $0.put(2, flag.rawValue)
                }
            }
        }
        return message
    }
}
