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
    /// How many ports more there are, each leading to the next one of the container; nil for one port alone.
    private var more: UInt16?

    public init(hostAddress: String = "", hostPort: UInt16 = 0, containerPort: UInt16, proto: TransportProtocol = .tcp) {
        self.hostAddress = hostAddress
        self.hostPort = hostPort
        self.containerPort = containerPort
        self.proto = proto
    }

    /// How many ports these are: a run of the host's leads to a run of the container's.
    public var count: Int {
        get { Int(more ?? 0) + 1 }
        set { more = newValue > 1 ? UInt16(newValue - 1) : nil }
    }

    /// From `hostPort` on.
    public var hostPorts: ClosedRange<UInt16> { hostPort...max(hostPort, hostPort &+ (more ?? 0)) }
    public var containerPorts: ClosedRange<UInt16> { containerPort...max(containerPort, containerPort &+ (more ?? 0)) }

    /// Whether all its ports are ports.
    var isValid: Bool { max(Int(hostPort), Int(containerPort)) + count - 1 <= Int(UInt16.max) }

    /// Each of the run alone; those without a port of the host stay without.
    fileprivate var singles: [PublishedPort] {
        if hostPort != 0 { return hostPorts.map(single) }
        return containerPorts.map { PublishedPort(hostAddress: hostAddress, containerPort: $0, proto: proto) }
    }

    /// One of the run alone, by its port of the host.
    public func single(_ port: UInt16) -> PublishedPort {
        var single = self
        single.more = nil
        single.hostPort = port
        single.containerPort = containerPort &+ (port &- hostPort)
        return single
    }

    /// The addresses as Docker's inspect shows them: `0.0.0.0` and `::` for all.
    public var hostAddresses: [String] {
        hostAddress.isEmpty ? ["0.0.0.0", "::"] : [hostAddress]
    }

    /// The port of the host, wherever it leads; nil where it is still to be chosen.
    var onHost: PublishedPort? {
        guard hostPort != 0, lastHostPort == 0 else { return nil }
        var port = self
        port.containerPort = 0
        return port
    }
}

extension Sequence<PublishedPort> {
    /// Each port alone.
    public var unfolded: [PublishedPort] {
        flatMap { port in port.count == 1 ? [port] : port.singles }
    }

    /// Runs of ports as one, where they are long.
    public var folded: [PublishedPort] {
        let all = Array(self)
        guard all.count >= shortestRun else { return all }
        let sorted = all.sorted { ($0.hostAddress, $0.proto.rawValue, $0.hostPort) < ($1.hostAddress, $1.proto.rawValue, $1.hostPort) }
        var folded: [PublishedPort] = []
        var rest = sorted[...]
        while let first = rest.first {
            let end = rest.indices.dropFirst().first { !rest[$0].continues(rest[$0 - 1]) } ?? rest.endIndex
            var run = first
            run.count = rest[..<end].reduce(0) { $0 + $1.count }
            if run.count >= shortestRun { folded.append(run) } else { folded += rest[..<end] }
            rest = rest[end...]
        }
        return folded
    }
}

private let shortestRun = 16

extension PublishedPort {
    fileprivate func continues(_ other: PublishedPort) -> Bool {
        guard hostPort != 0, lastHostPort == 0, other.lastHostPort == 0, hostAddress == other.hostAddress, proto == other.proto else { return false }
        return Int(hostPort) == Int(other.hostPort) + other.count && Int(containerPort) == Int(other.containerPort) + other.count
    }
}
