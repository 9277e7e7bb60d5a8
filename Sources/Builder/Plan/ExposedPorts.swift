/// The arguments of `EXPOSE`.
enum ExposedPorts {
    /// `80` → `80/tcp`, `7000-7002/udp` → three ports.
    static func parse(_ word: String) throws(BuildError) -> [String] {
        let (ports, proto) = word.splitOnce("/") ?? (word, "tcp")
        let name = proto.lowercased()
        guard ["tcp", "udp", "sctp"].contains(name) else { throw .invalid("invalid proto: \(proto)") }
        let (low, high) = ports.splitOnce("-") ?? (ports, ports)
        guard let first = number(low), let last = number(high), first <= last else {
            throw .invalid("invalid containerPort: \(ports)")
        }
        return (first...last).map { "\($0)/\(name)" }
    }

    private static func number(_ text: String) -> UInt16? {
        text.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ? UInt16(text) : nil
    }
}
