import Linux
import SystemPackage

/// The cable between a container and its bridge. Everything here blocks.
struct EndpointLink: Sendable {
    /// The host's ends are called `vsk` and the first eleven digits of the endpoint's id.
    static let namePrefix = "vsk"

    static func hostInterface(endpointID: String) -> String {
        namePrefix + endpointID.prefix(11)
    }

    let endpoint: EndpointInfo
    let network: NetworkDefinition
    /// The one of the network's bridges that the cable leads to.
    let bridge: UInt32

    init(endpoint: EndpointInfo, network: NetworkDefinition, bridge: UInt32? = nil) {
        self.endpoint = endpoint
        self.network = network
        self.bridge = bridge ?? network.link
    }

    /// Makes the cable between the calling thread's namespace and the container's, moves the thread there and configures
    /// the container's end. Only on a thread that ends afterwards.
    func connect(namespace: Int32) throws {
        var hardwareAddress: [UInt8] = []
        if !endpoint.macAddress.isEmpty {
            guard let parsed = HardwareAddress.parse(endpoint.macAddress) else {
                throw NetworkError.invalidAddress(endpoint.macAddress)
            }
            hardwareAddress = parsed
        }
        var host = try RouteSocket()
        if let kind = network.settings.child {
            try host.createChild(
                ChildLink(
                    kind: kind, name: endpoint.interface, parent: network.link, hardwareAddress: hardwareAddress,
                    namespace: namespace, mtu: network.mtu))
            return try configureChild(namespace)
        }
        try host.createVeth(
            VethPair(
                name: endpoint.hostInterface, master: bridge, peerName: endpoint.interface,
                peerHardwareAddress: hardwareAddress, peerNamespace: namespace, mtu: network.mtu, isUp: false,
                group: network.isOfContainersAlone ? NeighbourReports.group : 0))
        try configurePort(&host)
        try silence()
        try host.setUp(endpoint.hostInterface)
        if endpoint.isLimited { try applyRates() }
        try NetworkNamespace.enter(namespace)
        try configure()
    }

    /// Takes the device away where that fails: later only its name would tell which it is, and others may have that.
    private func configureChild(_ namespace: Int32) throws {
        try NetworkNamespace.enter(namespace)
        do {
            try configure()
        } catch {
            try removeInside()
            throw error
        }
    }

    /// The host's end is a port and no more: it needs no address, and no route for groups that everybody looks through.
    private func silence() throws {
        do {
            try NetworkSettings.write("ipv6/conf/\(endpoint.hostInterface)/disable_ipv6", 1)
        } catch {
            // Without IPv6 there is nothing to switch off.
            guard error.errno == .noSuchFileOrDirectory else { throw error }
        }
    }

    /// What the bridge has to know about a cable that was put into it.
    func configurePort(_ host: inout RouteSocket) throws {
        if !network.settings.connectsContainers { try host.setIsolated(endpoint.hostInterface) }
        guard try Self.firewallSeesBridgedFrames else { return }
        try host.setHairpin(endpoint.hostInterface)
        // Frames that the first bridge turned round come back by its cable, and are no reason to look for the sender there.
        if bridge != network.link, let hardwareAddress = HardwareAddress.parse(endpoint.macAddress),
            let port = try host.link(named: endpoint.hostInterface)
        {
            try host.setWay(to: hardwareAddress, port: port.index)
        }
    }

    /// Sets the limits of rate as the endpoint has them.
    func applyRates() throws {
        try EndpointRates(hostInterface: endpoint.hostInterface, mtu: network.mtu).apply(
            receiving: endpoint.receivingRate ?? 0, sending: endpoint.sendingRate ?? 0)
    }

    /// With the module br_netfilter a packet is redirected while it is still a frame in the bridge. One that a container
    /// sends to its own published port then has to leave by the port it came from.
    static var firewallSeesBridgedFrames: Bool {
        get throws {
            for setting in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
                if try NetworkSettings.read(setting) == 1 { return true }
            }
            return false
        }
    }

    /// Within the container's namespace: loopback, addresses, default routes.
    private func configure() throws {
        var socket = try RouteSocket()
        try socket.setUp(try device("lo", &socket))
        let link = try device(endpoint.interface, &socket)
        try limitIPv6()
        for (text, length) in [(endpoint.ipv4, endpoint.ipv4PrefixLength), (endpoint.ipv6, endpoint.ipv6PrefixLength)]
        where !text.isEmpty {
            guard let address = IPAddress(text), let prefix = IPPrefix(address, length: length) else {
                throw NetworkError.invalidAddress(text)
            }
            try socket.addAddress(prefix, to: link)
        }
        for text in endpoint.linkLocalAddresses ?? [] {
            guard let prefix = LinkLocalAddress.prefix(text) else { throw NetworkError.invalidAddress(text) }
            try socket.addAddress(prefix, to: link)
        }
        for setting in endpoint.deviceSettings ?? [] { try apply(setting) }
        try socket.setUp(link)
        if endpoint.isGateway, !endpoint.isInternal { _ = try addDefaultRoutes(link, &socket) }
    }

    /// While the device is still down. On a kernel without IPv6 there is nothing to limit.
    private func limitIPv6() throws {
        let settings = "ipv6/conf/\(endpoint.interface)"
        guard let isOff = try NetworkSettings.read("\(settings)/disable_ipv6") else { return }
        // Neighbours must not be able to pose as routers.
        try NetworkSettings.write("\(settings)/accept_ra", 0)
        // Addresses behind our bridges are ours to give: asking everybody whether one is taken makes it usable a second later.
        if network.isOfContainersAlone { try NetworkSettings.write("\(settings)/accept_dad", 0) }
        // Who gets no address makes none up.
        let hasAddress = !endpoint.ipv6.isEmpty || (endpoint.linkLocalAddresses ?? []).contains { $0.contains(":") }
        if !hasAddress, isOff == 0 { try NetworkSettings.write("\(settings)/disable_ipv6", 1) }
    }

    private func apply(_ setting: EndpointOptions.DeviceSetting) throws {
        let path = setting.path(of: endpoint.interface)
        do {
            try NetworkSettings.write(path, setting.value)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else {
                throw NetworkError.refused(.invalid, "unable to write to '/proc/sys/net/\(path)': \(error.errno)")
            }
            throw NetworkError.refused(.invalid, "/proc/sys/net/\(path) is not a sysctl file")
        }
    }

    /// In place of those that are there. The families that have one by this device now.
    private func addDefaultRoutes(_ link: UInt32, _ socket: inout RouteSocket) throws -> Set<AddressFamily> {
        let isRouted = network.settings.isRouted
        var led: Set<AddressFamily> = []
        for (family, address, text) in [
            (AddressFamily.v4, endpoint.ipv4, endpoint.ipv4Gateway), (.v6, endpoint.ipv6, endpoint.ipv6Gateway),
        ] where !address.isEmpty {
            // A setting of the device's, of whatever origin: there is no way by it then.
            if family == .v6, try NetworkSettings.read("ipv6/conf/\(endpoint.interface)/disable_ipv6") == 1 { continue }
            if isRouted {
                try socket.addDefaultRoute(family, link: link)
            } else {
                guard let gateway = IPAddress(text) else { throw NetworkError.invalidAddress(text) }
                try socket.addDefaultRoute(gateway: gateway, link: link)
            }
            led.insert(family)
        }
        return led
    }

    /// Moves the default routes of the container here, or away when this is not its gateway (any more). The calling thread
    /// is in the container's namespace.
    func moveDefaultRoutes() throws {
        var socket = try RouteSocket()
        let isGateway = endpoint.isGateway && !endpoint.isInternal
        // Without a moment in which there is none.
        let led = try isGateway ? addDefaultRoutes(device(endpoint.interface, &socket), &socket) : []
        for family in AddressFamily.allCases where !led.contains(family) { try socket.deleteDefaultRoute(family) }
    }

    /// Takes the child of a device out of a container that goes on. Not an error when it is gone. The calling thread is in the
    /// container's namespace, where others may have its name: it is known by its hardware address, where it has one of its own.
    func removeInside() throws {
        var socket = try RouteSocket()
        let children = try socket.links().filter { $0.kind == network.driver.rawValue }
        let own = children.first { !endpoint.macAddress.isEmpty && HardwareAddress.text($0.hardwareAddress) == endpoint.macAddress }
        guard let link = own ?? children.first(where: { $0.name == endpoint.interface }) else { return }
        try socket.deleteLink(link.index)
    }

    private func device(_ name: String, _ socket: inout RouteSocket) throws -> UInt32 {
        guard let link = try socket.link(named: name) else {
            throw NetworkError.unexpected("network device \(name) of container \(endpoint.containerID) is gone")
        }
        return link.index
    }

    /// Not an error when it is gone: it ends with the container's namespace.
    static func disconnect(_ endpoint: EndpointInfo) throws {
        if endpoint.sendingRate != nil { try EndpointRates.remove(endpoint.hostInterface) }
        var socket = try RouteSocket()
        guard let link = try socket.link(named: endpoint.hostInterface), link.kind == "veth" else { return }
        try socket.deleteLink(link.index)
    }

    /// Nil when the cable is gone.
    static func counters(_ hostInterface: String) throws -> LinkCounters? {
        var socket = try RouteSocket()
        return try socket.link(named: hostInterface)?.counters.seenFromOtherEnd
    }
}

extension LinkCounters {
    /// What the host sends, the container receives.
    fileprivate var seenFromOtherEnd: LinkCounters {
        LinkCounters(
            receivedPackets: sentPackets, sentPackets: receivedPackets, receivedBytes: sentBytes,
            sentBytes: receivedBytes, receiveErrors: sendErrors, sendErrors: receiveErrors,
            receiveDropped: sendDropped, sendDropped: receiveDropped)
    }
}
