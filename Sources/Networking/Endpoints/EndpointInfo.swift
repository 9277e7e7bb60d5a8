/// A container's place in a network. What `inspect` shows, and what the database keeps.
public struct EndpointInfo: Codable, Sendable, Hashable {
    public var containerID: String
    public var networkName: String
    public var networkID: String
    /// 64 hex digits, new for each start of the container.
    public var endpointID: String
    public var ipv4: String
    public var ipv4PrefixLength: Int
    public var ipv4Gateway: String
    /// Empty, like the other two, where the host has no IPv6.
    public var ipv6: String
    public var ipv6PrefixLength: Int
    public var ipv6Gateway: String
    public var macAddress: String
    /// The published ports with the host ports that were chosen.
    public var ports: [PublishedPort]
    /// The end of the veth pair that stays on the host.
    public var hostInterface: String

    public init(
        containerID: String, networkName: String, networkID: String, endpointID: String, ipv4: String,
        ipv4PrefixLength: Int, ipv4Gateway: String, ipv6: String, ipv6PrefixLength: Int, ipv6Gateway: String,
        macAddress: String, ports: [PublishedPort], hostInterface: String
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
    }
}
