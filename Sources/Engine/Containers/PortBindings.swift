import DockerAPI
import Networking

/// `-p` and `-P`: which host ports lead to which ports of the container.
struct PortBindings {
    let config: ContainerConfig
    let hostConfig: HostConfig

    func resolve() throws -> [PublishedPort] {
        var ports: [PublishedPort] = []
        for (key, bindings) in (hostConfig.PortBindings ?? [:]).sorted(by: { $0.key < $1.key }) {
            let (inside, proto) = try Self.parseRun(key)
            for binding in bindings ?? [PortBinding()] { ports += try Self.publish(inside, proto, binding, key) }
        }
        if hostConfig.PublishAllPorts == true {
            for key in (config.ExposedPorts ?? [:]).keys.sorted() {
                let (inside, proto) = try Self.parseRun(key)
                for port in inside where !ports.contains(where: { $0.containerPorts.contains(port) && $0.proto == proto }) {
                    ports.append(PublishedPort(containerPort: port, proto: proto))
                }
            }
        }
        return ports
    }

    /// A run is a few bytes of a request, and each of its ports a member of the answers.
    static func checkNumber(_ ports: PortMap) throws(EngineError) {
        guard PortRanges.count(ports) <= most else {
            throw EngineError(.invalidArgument, "invalid port specification: more than \(most) ports")
        }
    }

    /// All ports of three protocols, once.
    private static let most = 3 * 65_536

    private static func publish(
        _ inside: ClosedRange<UInt16>, _ proto: TransportProtocol, _ binding: PortBinding, _ key: String
    ) throws -> [PublishedPort] {
        let (first, last) = try hostPorts(binding.HostPort ?? "")
        var published = PublishedPort(
            hostAddress: try address(binding.HostIp ?? ""), hostPort: first, containerPort: inside.lowerBound, proto: proto)
        if inside.count == 1 {
            published.lastHostPort = last
            return [published]
        }
        // A run leads to a run, or each of its ports to one of the engine's choice.
        if first == 0 { return inside.map { PublishedPort(hostAddress: published.hostAddress, containerPort: $0, proto: proto) } }
        guard Int(last) - Int(first) + 1 == inside.count else {
            throw EngineError(.invalidArgument, "invalid port specification: \"\(binding.HostPort ?? ""):\(key)\"")
        }
        published.count = inside.count
        return [published]
    }

    /// `80/tcp`, `80`, `8000-8099/udp`.
    static func parseRun(_ key: String) throws(EngineError) -> (ClosedRange<UInt16>, TransportProtocol) {
        if let run = PortKey(key), let proto = TransportProtocol(rawValue: run.proto) { return (run.first...run.last, proto) }
        let (port, proto) = try parse(key)
        return (port...port, proto)
    }

    /// `80/tcp`, `80`.
    static func parse(_ key: String) throws(EngineError) -> (UInt16, TransportProtocol) {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard let port = parts.first.flatMap({ UInt16($0) }), port > 0, parts.count <= 2 else {
            throw EngineError(.invalidArgument, "invalid port specification: \"\(key)\"")
        }
        let name = parts.count > 1 ? parts[1].lowercased() : "tcp"
        guard let proto = TransportProtocol(rawValue: name) else {
            throw EngineError(.invalidArgument, "invalid port specification: \"\(key)\": invalid proto: \(name)")
        }
        return (port, proto)
    }

    /// `8080`, nothing for any, or `8000-8010` for any of these.
    static func hostPorts(_ text: String) throws(EngineError) -> (first: UInt16, last: UInt16) {
        if text.isEmpty { return (0, 0) }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = UInt16(parts[0]), let last = UInt16(parts[parts.count - 1]), first <= last else {
            throw EngineError(.invalidArgument, "invalid port specification: \"\(text)\"")
        }
        return (first, parts.count == 2 && last > first ? last : 0)
    }

    private static func address(_ text: String) throws(EngineError) -> String {
        // Docker's clients write 0.0.0.0 for "everywhere on IPv4"; empty is everywhere on both.
        guard text.utf8.count <= 45, text.utf8.allSatisfy({ $0 == 46 || $0 == 58 || (48...57).contains($0) || (97...102).contains($0 | 0x20) }) else {
            throw EngineError(.invalidArgument, "invalid IP address: \(text)")
        }
        return text
    }
}
