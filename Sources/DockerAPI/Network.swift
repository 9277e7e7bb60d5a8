// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// A container in a network.
public struct EndpointSettings: Codable, Sendable, Equatable {
    public var IPAMConfig: EndpointIPAMConfig?
    public var Links: [String]?
    public var MacAddress: String?
    public var Aliases: [String]?
    public var DriverOpts: [String: String]?
    public var GwPriority: Int64?
    public var NetworkID: String?
    public var EndpointID: String?
    public var Gateway: String?
    public var IPAddress: String?
    public var IPPrefixLen: Int?
    public var IPv6Gateway: String?
    public var GlobalIPv6Address: String?
    public var GlobalIPv6PrefixLen: Int?
    public var DNSNames: [String]?

    public init() {}
}

/// The addresses that a container asks for.
public struct EndpointIPAMConfig: Codable, Sendable, Equatable {
    public var IPv4Address: String?
    public var IPv6Address: String?
    public var LinkLocalIPs: [String]?

    public init() {}
}

/// Everything about one network; lists have the same shape without `Containers`.
public struct NetworkInspect: Codable, Sendable, Equatable {
    public var Name: String?
    public var Id: String?
    public var Created: String?
    public var Scope: String?
    public var Driver: String?
    public var EnableIPv4: Bool?
    public var EnableIPv6: Bool?
    public var IPAM: IPAM?
    public var Internal: Bool?
    public var Attachable: Bool?
    public var Ingress: Bool?
    public var ConfigFrom: ConfigReference?
    public var ConfigOnly: Bool?
    public var Containers: [String: NetworkContainer]?
    public var Options: [String: String]?
    public var Labels: [String: String]?

    public init() {}
}

/// A container in the list of a network.
public struct NetworkContainer: Codable, Sendable, Equatable {
    public var Name: String?
    public var EndpointID: String?
    public var MacAddress: String?
    public var IPv4Address: String?
    public var IPv6Address: String?

    public init() {}
}

/// How a network gives addresses.
public struct IPAM: Codable, Sendable, Equatable {
    public var Driver: String?
    public var Config: [IPAMConfig]?
    public var Options: [String: String]?

    public init() {}
}

/// One address range of a network.
public struct IPAMConfig: Codable, Sendable, Equatable {
    public var Subnet: String?
    public var IPRange: String?
    public var Gateway: String?
    public var AuxiliaryAddresses: [String: String]?

    public init() {}
}

/// The network that another one takes its configuration from.
public struct ConfigReference: Codable, Sendable, Equatable {
    public var Network: String?

    public init() {}
}

/// The body of `POST /networks/create`.
public struct NetworkCreateRequest: Codable, Sendable, Equatable {
    public var Name: String?
    public var Driver: String?
    public var Scope: String?
    public var Internal: Bool?
    public var Attachable: Bool?
    public var Ingress: Bool?
    public var ConfigOnly: Bool?
    public var ConfigFrom: ConfigReference?
    public var IPAM: IPAM?
    public var EnableIPv4: Bool?
    public var EnableIPv6: Bool?
    public var Options: [String: String]?
    public var Labels: [String: String]?

    public init() {}
}

/// The answer to `POST /networks/create`.
public struct NetworkCreateResponse: Codable, Sendable, Equatable {
    public var Id: String?
    public var Warning: String?

    public init() {}
}

/// The body of `POST /networks/{id}/connect`.
public struct NetworkConnectRequest: Codable, Sendable, Equatable {
    public var Container: String?
    public var EndpointConfig: EndpointSettings?

    public init() {}
}

/// The body of `POST /networks/{id}/disconnect`.
public struct NetworkDisconnectRequest: Codable, Sendable, Equatable {
    public var Container: String?
    public var Force: Bool?

    public init() {}
}
