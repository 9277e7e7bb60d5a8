import Linux

/// The device of the host that containers of a macvlan or ipvlan network get children of. Everything here blocks.
enum ParentDevice {
    /// Finds the parent, or makes it: `eth0.7` is VLAN 7 of `eth0`, and a network without a parent gets a device that leads
    /// nowhere.
    static func make(_ network: inout NetworkDefinition) throws {
        var socket = try RouteSocket()
        if try socket.link(named: network.device) == nil { try create(network.device, &socket) }
        guard let parent = try socket.link(named: network.device) else {
            throw NetworkError.unexpected("network device \(network.device) is gone")
        }
        network.link = parent.index
        network.mtu = network.settings.mtu ?? parent.mtu
        guard network.mtu <= parent.mtu else {
            throw NetworkError.refused(.invalid, "the MTU \(network.mtu) is larger than that of \(network.device): \(parent.mtu)")
        }
    }

    /// The name of a device for a network that has no parent.
    static func dummyName(networkID: String) -> String { "dm-" + networkID.prefix(12) }

    private static func create(_ name: String, _ socket: inout RouteSocket) throws {
        if name.hasPrefix("dm-") { return try socket.createDummy(name) }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = UInt16(parts[1]), (1...4094).contains(id),
            let parent = try socket.link(named: String(parts[0]))
        else { throw NetworkError.refused(.invalid, "the parent interface \(name) does not exist on the host") }
        try socket.createVLAN(name, parent: parent.index, id: id)
    }

    /// Removes what `make` has made: devices that lead nowhere. A VLAN may have others who use it by now.
    static func remove(_ name: String) throws {
        guard name.hasPrefix("dm-") else { return }
        var socket = try RouteSocket()
        guard let link = try socket.link(named: name), link.kind == "dummy" else { return }
        try socket.deleteLink(link.index)
    }
}
