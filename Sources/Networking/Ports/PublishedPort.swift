/// The transport protocol of a published port.
public enum TransportProtocol: String, Codable, Sendable, Hashable, CaseIterable {
    case tcp
    case udp
    case sctp
}

/// A port of the host that leads to a port of a container: `-p 127.0.0.1:8080:80/tcp`.
public struct PublishedPort: Codable, Sendable, Hashable {
    /// The address of the host that is published, IPv4 or IPv6; empty means all of both families.
    public var hostAddress: String
    /// The port of the host; 0 asks for a free one.
    public var hostPort: UInt16
    /// The end of a range of the host's ports, any of which will do; 0 for one port. Gone once a port was chosen.
    public var lastHostPort: UInt16 = 0
    public var containerPort: UInt16
    public var proto: TransportProtocol

    public init(hostAddress: String = "", hostPort: UInt16 = 0, containerPort: UInt16, proto: TransportProtocol = .tcp) {
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.containerPort = containerPort
        self.proto = proto
    }

    /// The addresses as Docker's inspect shows them: `0.0.0.0` and `::` for all.
    public var hostAddresses: [String] {
        hostAddress.isEmpty ? ["0.0.0.0", "::"] : [hostAddress]
    }

    /// Whether it is the same port of the host, wherever it leads.
    func isSameOnHost(as other: PublishedPort) -> Bool {
        (hostAddress, hostPort, proto) == (other.hostAddress, other.hostPort, other.proto) && hostPort != 0 && other.lastHostPort == 0
    }
}
