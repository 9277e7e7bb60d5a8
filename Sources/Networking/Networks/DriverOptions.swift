import Linux

/// How what is beyond the bridge and a network's containers see each other, in one family.
enum GatewayMode: String, Sendable {
    /// Containers go out under the host's address, and are reached through ports of the host alone.
    case nat
    /// The same, and whoever has a way to their own addresses reaches them there.
    case natUnprotected = "nat-unprotected"
    /// No address is changed; what is published is open at the container's own address.
    case routed
    /// The host has no address on the bridge.
    case isolated
}

/// What `--opt` says to a driver, understood. An option that the driver does not know is refused, not ignored.
struct DriverOptions: Sendable, Equatable {
    var device: String?
    var mtu: UInt32?
    /// Whether containers of the network reach each other.
    var connectsContainers = true
    /// Whether what leaves the network gets the host's address.
    var masquerades = true
    /// The address of the host that ports are published at when nobody says which; empty is all.
    var publishAddress = ""
    /// What the names of the containers' devices begin with.
    var interfacePrefix = "eth"
    var child: ChildLink.Kind?
    private var gatewayModes: [AddressFamily: GatewayMode] = [:]

    func gatewayMode(_ family: AddressFamily) -> GatewayMode { gatewayModes[family] ?? .nat }

    /// Whether everything leaves through the device alone: no gateway answers there (ipvlan's third layer).
    var isRouted: Bool {
        if case .ipvlan(let mode, _)? = child { mode != .l2 } else { false }
    }

    /// Children of ipvlan have the hardware address of their parent.
    var sharesHardwareAddress: Bool {
        if case .ipvlan? = child { true } else { false }
    }

    init() {}

    init(_ options: [String: String], driver: NetworkDriver) throws {
        if driver == .macvlan { child = .macvlan(.bridge) }
        if driver == .ipvlan { child = .ipvlan(.l2, .bridge) }
        for (key, value) in options.sorted(by: { $0.key < $1.key }) {
            let known = try setCommon(key, value)
            if known { continue }
            let isKnown = try driver == .bridge ? setBridge(key, value) : setChild(key, value)
            guard isKnown else {
                throw NetworkError.refused(.invalid, "invalid option for the \(driver.rawValue) driver: \(key)")
            }
        }
    }

    private mutating func setCommon(_ key: String, _ value: String) throws -> Bool {
        switch key {
        case "com.docker.network.driver.mtu", "com.docker.network.mtu", "mtu":
            guard let number = UInt32(value), (68...65535).contains(number) else {
                throw NetworkError.refused(.invalid, "invalid value for MTU: \(value)")
            }
            mtu = number
        case "com.docker.network.container_iface_prefix", "com.docker.network.container_interface_prefix":
            let isPlain = value.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) }
            guard isPlain, (1...10).contains(value.utf8.count) else {
                throw NetworkError.refused(.invalid, "invalid prefix of device names: \(value)")
            }
            interfacePrefix = value
        default: return false
        }
        return true
    }

    private mutating func setBridge(_ key: String, _ value: String) throws -> Bool {
        switch key {
        case "com.docker.network.bridge.name": device = value.isEmpty ? nil : value
        case "com.docker.network.bridge.enable_icc": connectsContainers = try Self.flag(key, value)
        case "com.docker.network.bridge.enable_ip_masquerade": masquerades = try Self.flag(key, value)
        case "com.docker.network.bridge.host_binding_ipv4":
            guard let address = IPAddress(value) else {
                throw NetworkError.refused(.invalid, "invalid IP address in \(key): \(value)")
            }
            publishAddress = address.description
        case "com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6":
            guard let mode = GatewayMode(rawValue: value) else { throw NetworkError.refused(.invalid, "unknown gateway mode \(value)") }
            gatewayModes[key.hasSuffix("4") ? .v4 : .v6] = mode
        default: return false
        }
        return true
    }

    private mutating func setChild(_ key: String, _ value: String) throws -> Bool {
        switch (key, child) {
        case ("parent", _): device = value.isEmpty ? nil : value
        case ("macvlan_mode", .macvlan):
            let modes: [String: ChildLink.MacvlanMode] = [
                "": .bridge, "bridge": .bridge, "private": .private, "vepa": .vepa, "passthru": .passthru,
            ]
            guard let mode = modes[value] else {
                throw NetworkError.refused(.invalid, "requested macvlan mode '\(value)' is not valid, 'bridge' mode is the macvlan driver default")
            }
            child = .macvlan(mode)
        case ("ipvlan_mode", .ipvlan(_, let flag)):
            let modes: [String: ChildLink.IpvlanMode] = ["": .l2, "l2": .l2, "l3": .l3, "l3s": .l3s]
            guard let mode = modes[value] else {
                throw NetworkError.refused(.invalid, "requested ipvlan mode '\(value)' is not valid, 'l2' mode is the ipvlan driver default")
            }
            child = .ipvlan(mode, flag)
        case ("ipvlan_flag", .ipvlan(let mode, _)):
            let flags: [String: ChildLink.IpvlanFlag] = ["": .bridge, "bridge": .bridge, "private": .private, "vepa": .vepa]
            guard let flag = flags[value] else {
                throw NetworkError.refused(.invalid, "requested ipvlan flag '\(value)' is not valid, 'bridge' is the ipvlan driver default")
            }
            child = .ipvlan(mode, flag)
        default: return false
        }
        return true
    }

    private static func flag(_ key: String, _ value: String) throws -> Bool {
        switch value.lowercased() {
        case "1", "t", "true": return true
        case "0", "f", "false": return false
        default:
            throw NetworkError.refused(.invalid, "invalid value of \(key): strconv.ParseBool: parsing \"\(value)\": invalid syntax")
        }
    }
}
