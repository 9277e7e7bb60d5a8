/// A network as `network inspect` shows it.
public struct NetworkInfo: Sendable, Hashable {
    /// 64 hex digits.
    public var id: String
    /// `bridge`
    public var name: String
    /// The bridge device on the host.
    public var bridgeName: String
    /// RFC 3339.
    public var created: String
    /// `172.30.0.0/16`
    public var ipv4Subnet: String
    public var ipv4Gateway: String
    /// Empty where the host has no IPv6.
    public var ipv6Subnet: String
    public var ipv6Gateway: String
    public var mtu: Int
    public var endpoints: [EndpointInfo]
}
