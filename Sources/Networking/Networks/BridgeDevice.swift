import Linux
import Logging
import SystemPackage

/// The bridge on the host, with what the kernel has to be told about it. Everything here blocks.
struct BridgeDevice: Sendable {
    /// By this address of its own cable each bridge with IPv6 finds neighbours.
    static let linkLocal = IPPrefix("fe80::1/64")

    static var hostHasIPv6: Bool {
        get throws {
            try NetworkSettings.read("ipv6/conf/default/disable_ipv6") == 0
        }
    }

    /// Makes the bridge when it is missing; it stays down until `activate`. Fills in its index and MTU.
    static func make(_ network: inout NetworkDefinition) throws {
        var socket = try RouteSocket()
        network.mtu = try network.settings.mtu ?? uplinkMTU(&socket, except: network.device)
        if try socket.link(named: network.device) == nil, let gateway = network.ipv4?.gateway ?? network.storedIPv6?.gateway {
            try socket.createBridge(network.device, hardwareAddress: HardwareAddress.bytes(for: gateway))
        }
        guard let bridge = try socket.link(named: network.device), bridge.kind == "bridge" else {
            throw NetworkError.unexpected("network device \(network.device) exists and is not a bridge")
        }
        // Set after making it: a bridge forgets an MTU that it was made with when its last port goes.
        if bridge.mtu != network.mtu { try socket.setMTU(bridge.index, network.mtu) }
        network.link = bridge.index
        network.hardwareAddress = bridge.hardwareAddress
        if network.isOfContainersAlone { try socket.floodGroups(bridge.index) }
    }

    /// Gives the bridge its addresses and sets it up. Comes after the firewall.
    static func activate(_ network: NetworkDefinition) throws {
        var socket = try RouteSocket()
        if !network.isInternal {
            // The bridge answers connections that came to 127.0.0.1 (the firewall keeps all others from naming it).
            try NetworkSettings.write("ipv4/conf/\(network.device)/route_localnet", 1)
        }
        let hasIPv6 = network.ipv6 != nil && network.settings.gatewayMode(.v6) != .isolated
        if hasIPv6 {
            // Containers are no routers for the host.
            try NetworkSettings.write("ipv6/conf/\(network.device)/accept_ra", 0)
            // An address of the kernel's own would first be checked for duplicates, and without one the host cannot ask
            // for neighbours: the first second of every bridge.
            try NetworkSettings.write("ipv6/conf/\(network.device)/addr_gen_mode", 1)
            if let linkLocal { try socket.addAddress(linkLocal, to: network.link) }
        }
        let wanted = network.subnets.filter { network.settings.gatewayMode($0.prefix.address.family) != .isolated }.compactMap {
            IPPrefix($0.gateway, length: $0.prefix.length)
        }
        // A network without IPv6 must not get it from the kernel's own link-local addresses.
        if !hasIPv6, network.ipv6 != nil || network.storedIPv6 == nil, try NetworkSettings.read("ipv6/conf/\(network.device)/disable_ipv6") == 0 {
            try NetworkSettings.write("ipv6/conf/\(network.device)/disable_ipv6", 1)
        }
        let present = try socket.addresses().filter { $0.link == network.link }.map(\.prefix)
        // Addresses of an earlier subnet would keep its route.
        for prefix in present where prefix.address.isV4 && !wanted.contains(prefix) {
            try socket.deleteAddress(prefix, from: network.link)
        }
        for prefix in wanted where !present.contains(prefix) { try socket.addAddress(prefix, to: network.link) }
        try socket.setUp(network.link)
        for segment in network.segments { try segment.activate() }
    }

    /// Puts the host's ends of the containers' cables back into bridges that were made anew, and removes those of no container
    /// where it is known that nobody is connecting one. On which bridge each is, by the host's end; not those that cannot be put back,
    /// as those that have gone meanwhile.
    static func adopt(
        _ endpoints: [EndpointInfo], of network: NetworkDefinition, places: BridgePlaces, removingOthers: Bool, _ logger: Logger
    ) throws -> [String: Int] {
        var socket = try RouteSocket()
        let bridges = [network.link] + network.segments.map(\.link)
        let known = Dictionary(endpoints.map { ($0.hostInterface, $0) }, uniquingKeysWith: { first, _ in first })
        var (found, lost): ([String: Int], [(Link, EndpointInfo)]) = ([:], [])
        for link in try socket.links() where link.kind == "veth" && link.name.hasPrefix(EndpointLink.namePrefix) {
            let number = bridges.firstIndex(of: link.master)
            if let endpoint = known[link.name] {
                if let number, link.isUp { found[link.name] = number } else { lost.append((link, endpoint)) }
            } else if removingOthers, number != nil {
                try socket.deleteLink(link.index)
            }
        }
        var places = places
        for (interface, number) in found { places.note(interface, number) }
        for (link, endpoint) in lost {
            let number = min(places.take(link.name), bridges.count - 1)
            do {
                try socket.setMaster(link.index, bridges[number])
                // A port that left its bridge has forgotten who must not see it.
                try EndpointLink(endpoint: endpoint, network: network, bridge: bridges[number]).configurePort(&socket)
                found[link.name] = number
            } catch {
                // Gone, as a rule. A port that could not be kept from others is none.
                try? socket.setMaster(link.index, 0)
                logger.warning(
                    "a container's cable could not be put back", metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
            }
        }
        return found
    }

    static func remove(_ name: String) throws {
        var socket = try RouteSocket()
        guard let link = try socket.link(named: name), link.kind == "bridge" else { return }
        try socket.deleteLink(link.index)
    }

    /// The MTU of the device that leads out, 1500 where none does.
    private static func uplinkMTU(_ socket: inout RouteSocket, except bridgeName: String) throws -> UInt32 {
        let links = try socket.links().filter { $0.name != bridgeName && !InputLoop.isDevice($0) }
        for family in AddressFamily.allCases {
            let routes = try socket.routes(family).filter { route in route.isDefault && links.contains { $0.index == route.link } }
            if let route = routes.min(by: { $0.priority < $1.priority }), let link = links.first(where: { $0.index == route.link }) {
                return link.mtu
            }
        }
        return 1500
    }
}
