import DockerAPI

/// Published and exposed ports: `[[IP:]HOST:]CONTAINER[/PROTO]`, each number also as a range.
struct PortFlags: Sendable {
    var exposed: [String: EmptyObject] = [:]
    var bindings: PortMap = [:]

    init(publish: [String], expose: [String]) throws {
        for text in publish { try add(published: text) }
        for text in expose { try add(exposed: text) }
        (exposed, bindings) = (PortRanges.folded(exposed), PortRanges.folded(bindings))
    }

    private mutating func add(published text: String) throws {
        let (address, proto) = try Self.splitProtocol(text)
        let (ip, host, container) = try Self.splitAddress(address, text)
        guard !container.isEmpty else { throw UsageError("no port specified: \(text)<empty>") }
        let containerPorts = try Self.range(container, "invalid containerPort: \(container)")
        let hostPorts = host.isEmpty ? nil : try Self.range(host, "invalid hostPort: \(host)")
        if let hostPorts, hostPorts.count != containerPorts.count, containerPorts.count != 1 {
            throw UsageError("invalid ranges specified for container and host Ports: \(container) and \(host)")
        }
        for (index, port) in containerPorts.enumerated() {
            let key = "\(port)/\(proto)"
            exposed[key] = EmptyObject()
            var binding = PortBinding()
            binding.HostIp = ip
            binding.HostPort = Self.hostPort(hostPorts, for: index, of: containerPorts.count)
            bindings[key] = ((bindings[key] ?? nil) ?? []) + [binding]
        }
    }

    /// One container port and a range on the host means: any of the range; that is the engine's choice.
    private static func hostPort(_ ports: ClosedRange<UInt16>?, for index: Int, of count: Int) -> String {
        guard let ports else { return "" }
        if ports.count == count { return String(ports.lowerBound + UInt16(index)) }
        return "\(ports.lowerBound)-\(ports.upperBound)"
    }

    private mutating func add(exposed text: String) throws {
        guard !text.contains(":") else { throw UsageError("invalid port format for --expose: \(text)") }
        let (ports, proto) = try Self.splitProtocol(text)
        let range = try Self.range(String(ports), "invalid range format for --expose: \(text)")
        for port in range { exposed["\(port)/\(proto)"] = EmptyObject() }
    }

    private static func splitProtocol(_ text: String) throws -> (Substring, String) {
        guard let slash = text.lastIndex(of: "/") else { return (text[...], "tcp") }
        let proto = text[text.index(after: slash)...].lowercased()
        guard ["tcp", "udp", "sctp"].contains(proto) else { throw UsageError("invalid proto: \(proto)") }
        return (text[..<slash], proto)
    }

    /// Splits from the right, so that an IPv6 address in brackets stays whole.
    private static func splitAddress(_ address: Substring, _ text: String) throws -> (ip: String, host: String, container: String) {
        guard let last = address.lastIndex(of: ":") else { return ("", "", String(address)) }
        let container = String(address[address.index(after: last)...])
        let front = address[..<last]
        guard let middle = front.lastIndex(of: ":") else { return ("", String(front), container) }
        var ip = front[..<middle]
        let host = String(front[front.index(after: middle)...])
        if ip.hasPrefix("["), ip.hasSuffix("]") { ip = ip.dropFirst().dropLast() }
        let allowed = ip.allSatisfy { $0.isHexDigit || $0 == "." || $0 == ":" || $0 == "%" }
        guard allowed, ip.contains(".") || ip.contains(":") || ip.isEmpty else {
            throw UsageError("invalid IP address: \(ip)")
        }
        return (String(ip), host, container)
    }

    private static func range(_ text: String, _ complaint: String) throws -> ClosedRange<UInt16> {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let first = UInt16(parts[0]), let last = UInt16(parts[parts.count - 1]),
            first <= last
        else { throw UsageError(complaint) }
        return first...last
    }
}
