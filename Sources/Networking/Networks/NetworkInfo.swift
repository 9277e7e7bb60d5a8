/// A network as `network inspect` shows it.
public struct NetworkInfo: Sendable, Hashable {
    /// 64 hex digits.
    public var id: String
    /// `bridge`
    public var name: String
    /// `bridge`, `macvlan`, `ipvlan`
    public var driver: String
    /// The bridge device on the host, or the parent of the containers' devices.
    public var device: String
    /// RFC 3339.
    public var created: String
    /// IPv4 first. None of IPv6 where the host has no IPv6.
    public var subnets: [Subnet]
    public var hasIPv4: Bool
    public var hasIPv6: Bool
    public var isInternal: Bool
    public var isAttachable: Bool
    /// Whether its containers reach each other.
    public var connectsContainers: Bool
    /// Whether what leaves it gets the host's address.
    public var masquerades: Bool
    public var labels: [String: String]
    public var options: [String: String]
    public var mtu: Int
    public var endpoints: [EndpointInfo]
    /// `nat`, `nat-unprotected`, `routed`, `isolated`
    public var gatewayMode4 = "nat"
    public var gatewayMode6 = "nat"
    /// No network, but what others are made of.
    public var isConfiguration = false
    /// The name of what it was made of; empty is nothing.
    public var configuration = ""

    /// One range of addresses; what is not set is empty.
    public struct Subnet: Sendable, Hashable {
        /// `172.30.0.0/16`
        public var prefix: String
        public var range: String
        public var gateway: String
        public var reserved: [String: String]
    }
}

/// What `network create` asks for.
public struct NetworkRequest: Sendable {
    public var name: String
    public var driver: String
    /// Nil leaves the family to the engine: IPv4 always, IPv6 where no subnets are given and the host has it.
    public var wantsIPv4: Bool?
    public var wantsIPv6: Bool?
    public var isInternal = false
    public var isAttachable = false
    public var labels: [String: String] = [:]
    public var options: [String: String] = [:]
    public var subnets: [NetworkInfo.Subnet] = []
    /// Only to be kept, for others to be made of.
    public var isConfiguration = false
    /// The name of what it is to be made of; empty is nothing.
    public var configuration = ""

    public init(name: String, driver: String = "bridge") {
        self.name = name
        self.driver = driver
    }
}

extension NetworkInfo.Subnet {
    /// What is empty is left to the engine.
    public init(_ prefix: String, range: String = "", gateway: String = "", reserved: [String: String] = [:]) {
        self.init(prefix: prefix, range: range, gateway: gateway, reserved: reserved)
    }
}
