import Linux

/// One network: what is decided once and stored, and what was found on the host.
struct NetworkDefinition: Sendable {
    let id: String
    let name: String
    let created: String
    var driver = NetworkDriver.bridge
    /// The bridge, or the device that containers get children of.
    var device: String
    var ipv4: Subnet?
    /// Chosen once, also where the host has no IPv6 (yet).
    var storedIPv6: Subnet?
    var isInternal = false
    var isAttachable = false
    var labels: [String: String] = [:]
    /// As they were given.
    var options: [String: String] = [:]
    var settings = DriverOptions()
    /// The name of the configuration that it was made of; empty is none.
    var configuration = ""

    var hasIPv6 = true
    /// The device, once it is there.
    var link: UInt32 = 0
    var mtu: UInt32 = 1500
    /// Of the device.
    var hardwareAddress: [UInt8] = []
    /// Whether we made the bridge, so that nothing but containers is behind it. By its hardware address, which is of ours alone.
    var isOfContainersAlone: Bool { HardwareAddress.isOurs(hardwareAddress) }
    /// Further bridges, in the order of their numbers.
    var segments: [BridgeSegment] = []

    init(id: String, name: String, created: String, device: String, ipv4: Subnet?, storedIPv6: Subnet?) {
        self.id = id
        self.name = name
        self.created = created
        self.device = device
        self.ipv4 = ipv4
        self.storedIPv6 = storedIPv6
    }

    /// Nil where the host has no IPv6.
    var ipv6: Subnet? { hasIPv6 ? storedIPv6 : nil }
    var subnets: [Subnet] { [ipv4, ipv6].compactMap { $0 } }
    /// The families in which what is published is open at the containers' own addresses.
    var routedFamilies: [AddressFamily] {
        isBridge ? families.filter { settings.gatewayMode($0) == .routed } : []
    }
    var families: [AddressFamily] { subnets.map(\.prefix.address.family) }
    var isDefault: Bool { name == Networks.defaultNetwork }
    var isBridge: Bool { driver == .bridge }

    /// For `network inspect`.
    func info(endpoints: [EndpointInfo]) -> NetworkInfo {
        var info = NetworkInfo(
            id: id, name: name, driver: driver.rawValue, device: device, created: created,
            subnets: subnets.map {
                NetworkInfo.Subnet(
                    prefix: $0.prefix.description, range: $0.range?.description ?? "",
                    gateway: $0.gateway.description,
                    reserved: $0.reserved.mapValues(\.description))
            },
            hasIPv4: ipv4 != nil, hasIPv6: ipv6 != nil, isInternal: isInternal, isAttachable: isAttachable,
            connectsContainers: settings.connectsContainers, masquerades: settings.masquerades, labels: labels,
            options: options, mtu: Int(mtu), endpoints: endpoints)
        info.configuration = configuration
        (info.gatewayMode4, info.gatewayMode6) = (settings.gatewayMode(.v4).rawValue, settings.gatewayMode(.v6).rawValue)
        return info
    }
}

/// How containers get onto a network.
enum NetworkDriver: String, Sendable {
    case bridge
    case macvlan
    case ipvlan
}

/// Random ids of 64 hex digits.
func randomID() -> String {
    (0..<32).map { _ in
        let byte = UInt8.random(in: 0...255)
        return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
}
