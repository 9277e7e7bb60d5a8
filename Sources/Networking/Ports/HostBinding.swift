import Linux

/// One address of the host, with a port, or a run of ports, and a protocol.
struct HostBinding: Hashable, Sendable {
    let address: IPAddress
    let port: UInt16
    /// The end of the run.
    let last: UInt16
    let proto: TransportProtocol

    init(address: IPAddress, port: UInt16, last: UInt16? = nil, proto: TransportProtocol) {
        (self.address, self.port, self.last, self.proto) = (address, port, last ?? port, proto)
    }

    /// Whether both would get some of the same packets.
    func conflicts(with other: HostBinding) -> Bool {
        port <= other.last && other.port <= last && proto == other.proto && address.isV4 == other.address.isV4
            && (address == other.address || address.isUnspecified || other.address.isUnspecified)
    }

    /// What is left without others.
    func without(_ others: Set<HostBinding>) -> [HostBinding] {
        if others.contains(self) { return [] }
        var left = [self]
        for other in others where other.address == address && other.proto == proto && other.port <= last && port <= other.last {
            left = left.flatMap { $0.cut(other) }
        }
        return left
    }

    private func cut(_ other: HostBinding) -> [HostBinding] {
        guard other.port <= last, port <= other.last else { return [self] }
        let before = other.port > port ? [HostBinding(address: address, port: port, last: other.port - 1, proto: proto)] : []
        return before + (other.last < last ? [HostBinding(address: address, port: other.last + 1, last: last, proto: proto)] : [])
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
            HostBinding(address: $0, port: port.hostPort, last: port.hostPorts.upperBound, proto: port.proto)
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
