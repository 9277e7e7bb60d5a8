import Linux

/// One address, port and protocol of the host.
struct HostBinding: Hashable, Sendable {
    let address: IPAddress
    let port: UInt16
    let proto: TransportProtocol

    /// Whether both would get the same packets.
    func conflicts(with other: HostBinding) -> Bool {
        port == other.port && proto == other.proto && address.isV4 == other.address.isV4
            && (address == other.address || address.isUnspecified || other.address.isUnspecified)
    }

    /// Without a zone, without brackets, as the host knows it.
    static func addresses(of port: PublishedPort, withIPv6: Bool) throws -> [IPAddress] {
        let texts = port.hostAddress.isEmpty && !withIPv6 ? ["0.0.0.0"] : port.hostAddresses
        return try texts.map { text in
            guard let address = IPAddress(text) else { throw NetworkError.invalidAddress(text) }
            // The kernel cannot redirect this one (see `Firewall`): better refused than silent.
            guard address != IPAddress("::1") else {
                throw NetworkError.cannotBind(
                    address: text, port: port.hostPort, proto: port.proto,
                    reason: "ports cannot be published on the IPv6 loopback address, use 127.0.0.1")
            }
            return address
        }
    }

    static func all(of port: PublishedPort, withIPv6: Bool) throws -> [HostBinding] {
        try addresses(of: port, withIPv6: withIPv6).map {
            HostBinding(address: $0, port: port.hostPort, proto: port.proto)
        }
    }
}

extension TransportProtocol {
    var transport: Transport {
        switch self {
        case .tcp: .tcp
        case .udp: .udp
        case .sctp: .sctp
        }
    }

    /// The number in the IP header.
    var number: UInt8 {
        switch self {
        case .tcp: 6
        case .udp: 17
        case .sctp: 132
        }
    }
}
