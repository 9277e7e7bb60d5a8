/// A container's place in a network. What `inspect` shows, and what the database keeps.
public struct EndpointInfo: Codable, Sendable, Hashable {
    public var containerID: String
    public var networkName: String
    public var networkID: String
    /// 64 hex digits, new for each start of the container.
    public var endpointID: String
    /// Empty, like the gateway, on networks without IPv4.
    public var ipv4: String
    public var ipv4PrefixLength: Int
    public var ipv4Gateway: String
    /// Empty, like the other two, where the host or the network has no IPv6.
    public var ipv6: String
    public var ipv6PrefixLength: Int
    public var ipv6Gateway: String
    /// Empty where the device has that of its parent.
    public var macAddress: String
    /// The published ports with the host ports that were chosen.
    public var ports: [PublishedPort]
    /// The end of the veth pair that stays on the host; empty for children of a device.
    public var hostInterface: String
    /// The device in the container.
    public var interface: String
    /// Whether the container's default route leads here.
    public var isGateway: Bool
    /// Nothing leads out of this network.
    public var isInternal: Bool
    /// The names that the container has here.
    public var names: [String]
    /// The network's driver.
    public var driver: String
    /// The most that the container receives and sends here, in bytes per second; nil is no limit.
    public var receivingRate: Int64?
    public var sendingRate: Int64?
    /// What is published at the container's own addresses, where no address is changed; nil is nothing. They have no port of the host.
    public internal(set) var openPorts: [PublishedPort]?
    /// Whether the default route is on its way to or from here: noted before it is moved, until it was; nil is no.
    var isMoving: Bool?
    /// What the device is given besides when it is made; nil is nothing.
    var linkLocalAddresses: [String]?
    var deviceSettings: [EndpointOptions.DeviceSetting]?

    public init(
        containerID: String, networkName: String, networkID: String, endpointID: String, ipv4: String = "",
        ipv4PrefixLength: Int = 0, ipv4Gateway: String = "", ipv6: String = "", ipv6PrefixLength: Int = 0,
        ipv6Gateway: String = "", macAddress: String = "", ports: [PublishedPort] = [], hostInterface: String = "",
        interface: String = "eth0", isGateway: Bool = true, isInternal: Bool = false, names: [String] = [],
        driver: String = "bridge"
    ) {
        self.containerID = containerID
        self.networkName = networkName
        self.networkID = networkID
        self.endpointID = endpointID
        self.ipv4 = ipv4
        self.ipv4PrefixLength = ipv4PrefixLength
        self.ipv4Gateway = ipv4Gateway
        self.ipv6 = ipv6
        self.ipv6PrefixLength = ipv6PrefixLength
        self.ipv6Gateway = ipv6Gateway
        self.macAddress = macAddress
        self.ports = ports
        self.hostInterface = hostInterface
        self.interface = interface
        self.isGateway = isGateway
        self.isInternal = isInternal
        self.names = names
        self.driver = driver
    }
}

extension EndpointInfo {
    /// In bytes per second; 0 is no limit.
    mutating func setRates(receiving: Int64, sending: Int64) {
        receivingRate = receiving > 0 ? receiving : nil
        sendingRate = sending > 0 ? sending : nil
    }

    var isLimited: Bool { receivingRate != nil || sendingRate != nil }
}

/// What a container asks a network for.
public struct EndpointRequest: Sendable {
    public var containerID: String
    public var networkID: String
    public var ports: [PublishedPort] = []
    /// Empty is one of the network's choice, as are the addresses.
    public var macAddress = ""
    public var ipv4 = ""
    public var ipv6 = ""
    /// The number of the device in the container: `eth0` for 0.
    public var interfaceNumber = 0
    public var isGateway = true
    public var names: [String] = []
    /// In bytes per second; 0 is no limit.
    public var receivingRate: Int64 = 0
    public var sendingRate: Int64 = 0
    public var linkLocalAddresses: [String] = []
    public var options = EndpointOptions()
    /// Names of devices that the container has on other networks, or is to have.
    public var takenInterfaces: Set<String> = []

    public init(containerID: String, networkID: String) {
        self.containerID = containerID
        self.networkID = networkID
    }
}
