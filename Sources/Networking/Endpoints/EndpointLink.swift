import Linux
import SystemPackage

/// The cable between a container and its bridge. Everything here blocks.
struct EndpointLink: Sendable {
    /// The host's ends are called `vsk` and the first eleven digits of the endpoint's id.
    static let namePrefix = "vsk"
    static let containerInterface = "eth0"

    static func hostInterface(endpointID: String) -> String {
        namePrefix + endpointID.prefix(11)
    }

    let endpoint: EndpointInfo
    let network: BridgeNetwork

    /// Makes the cable between the calling thread's namespace and the container's, moves the thread there and configures
    /// the container's end. Only on a thread that ends afterwards.
    func connect(namespace: Int32) throws {
        guard let hardwareAddress = HardwareAddress.parse(endpoint.macAddress) else {
            throw NetworkError.invalidAddress(endpoint.macAddress)
        }
        var host = try RouteSocket()
        try host.createVeth(
            VethPair(
                name: endpoint.hostInterface, master: network.link, peerName: Self.containerInterface,
                peerHardwareAddress: hardwareAddress, peerNamespace: namespace, mtu: network.mtu))
        if try Self.firewallSeesBridgedFrames { try host.setHairpin(endpoint.hostInterface) }
        try NetworkNamespace.enter(namespace)
        try configure()
    }

    /// With the module br_netfilter a packet is redirected while it is still a frame in the bridge. One that a container
    /// sends to its own published port then has to leave by the port it came from.
    private static var firewallSeesBridgedFrames: Bool {
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
        let link = try device(Self.containerInterface, &socket)
        if !endpoint.ipv6.isEmpty {
            // Neighbours must not be able to pose as routers.
            try NetworkSettings.write("ipv6/conf/\(Self.containerInterface)/accept_ra", 0)
        }
        let families = [
            (endpoint.ipv4, endpoint.ipv4PrefixLength, endpoint.ipv4Gateway),
            (endpoint.ipv6, endpoint.ipv6PrefixLength, endpoint.ipv6Gateway),
        ].filter { !$0.0.isEmpty }
        for (text, length, _) in families {
            guard let address = IPAddress(text), let prefix = IPPrefix(address, length: length) else {
                throw NetworkError.invalidAddress(text)
            }
            try socket.addAddress(prefix, to: link)
        }
        try socket.setUp(link)
        for (_, _, text) in families {
            guard let gateway = IPAddress(text) else { throw NetworkError.invalidAddress(text) }
            try socket.addDefaultRoute(gateway: gateway, link: link)
        }
    }

    private func device(_ name: String, _ socket: inout RouteSocket) throws -> UInt32 {
        guard let link = try socket.link(named: name) else {
            throw NetworkError.unexpected("network device \(name) of container \(endpoint.containerID) is gone")
        }
        return link.index
    }

    /// Not an error when it is gone: it ends with the container's namespace.
    static func disconnect(_ hostInterface: String) throws {
        var socket = try RouteSocket()
        guard let link = try socket.link(named: hostInterface), link.kind == "veth" else { return }
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
