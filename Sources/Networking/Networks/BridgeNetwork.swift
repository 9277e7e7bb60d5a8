import Linux
import OCI

/// One bridge network: what is decided once and stored, and what was found on the host.
struct BridgeNetwork: Sendable {
    let id: String
    let name: String
    let created: String
    let bridgeName: String
    let ipv4: IPPrefix
    let ipv4Gateway: IPAddress
    /// Chosen once, also where the host has no IPv6 (yet).
    let storedIPv6: IPPrefix?
    let hasIPv6: Bool
    /// The bridge's device.
    var link: UInt32 = 0
    var mtu: UInt32 = 1500

    /// Nil where the host has no IPv6.
    var ipv6: IPPrefix? { hasIPv6 ? storedIPv6 : nil }
    var ipv6Gateway: IPAddress? { ipv6?.firstHost }

    /// Nil when the IPv4 subnet has no room for a gateway.
    init?(
        id: String, name: String, created: String, bridgeName: String, ipv4: IPPrefix, storedIPv6: IPPrefix?,
        hasIPv6: Bool
    ) {
        guard let gateway = ipv4.firstHost else { return nil }
        self.id = id
        self.name = name
        self.created = created
        self.bridgeName = bridgeName
        self.ipv4 = ipv4
        self.storedIPv6 = storedIPv6
        self.hasIPv6 = hasIPv6
        ipv4Gateway = gateway
    }

    /// What the database keeps: `{"bridge": "skiff0", "ipv4": "172.30.0.0/16", "ipv6": "fd…::/64"}`
    var json: [UInt8] {
        let members: [(String, JSONValue)] = [
            ("bridge", .string(bridgeName)), ("ipv4", .string(ipv4.description)),
            ("ipv6", .string(storedIPv6?.description ?? "")),
        ]
        return JSONValue.object(members).serialized()
    }

    /// The subnets that `json` holds.
    static func subnets(json: [UInt8]) throws -> (ipv4: IPPrefix?, ipv6: IPPrefix?) {
        let value = try JSONValue.parse(json)
        return (value["ipv4"]?.string.flatMap(IPPrefix.init), value["ipv6"]?.string.flatMap(IPPrefix.init))
    }

    /// For `network inspect`.
    func info(endpoints: [EndpointInfo]) -> NetworkInfo {
        NetworkInfo(
            id: id, name: name, bridgeName: bridgeName, created: created, ipv4Subnet: ipv4.description,
            ipv4Gateway: ipv4Gateway.description, ipv6Subnet: ipv6?.description ?? "",
            ipv6Gateway: ipv6Gateway?.description ?? "", mtu: Int(mtu), endpoints: endpoints)
    }
}

/// Random ids of 64 hex digits.
func randomID() -> String {
    (0..<32).map { _ in
        let byte = UInt8.random(in: 0...255)
        return (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
}
