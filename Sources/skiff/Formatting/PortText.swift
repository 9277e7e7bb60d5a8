import DockerAPI

/// The ports of a container in one cell: neighbours that are published alike are drawn together.
enum PortText {
    private struct Group {
        let key: String
        let address: String?
        let proto: String
        var first: UInt16
        var last: UInt16

        var text: String {
            let range = first == last ? "\(first)" : "\(first)-\(last)"
            guard let address else { return "\(range)/\(proto)" }
            return "\(PortText.joined(address, range))->\(range)/\(proto)"
        }
    }

    static func text(_ ports: [PortSummary]) -> String {
        var open: [Group] = []
        var closed: [String] = []
        var mapped: [String] = []
        for port in ports.sorted(by: comesFirst) {
            let (inner, proto) = (port.PrivatePort ?? 0, port.Type ?? "tcp")
            let address = port.IP.flatMap { $0.isEmpty ? nil : $0 }
            if let address, port.PublicPort != inner {
                mapped.append("\(joined(address, "\(port.PublicPort ?? 0)"))->\(inner)/\(proto)")
                continue
            }
            let group = Group(key: "\(address ?? "")/\(proto)", address: address, proto: proto, first: inner, last: inner)
            if let index = open.firstIndex(where: { $0.key == group.key }) {
                if inner == open[index].last &+ 1 {
                    open[index].last = inner
                } else {
                    closed.append(open[index].text)
                    open[index] = group
                }
            } else {
                open.append(group)
            }
        }
        return (closed + open.map(\.text) + mapped).joined(separator: ", ")
    }

    private static func joined(_ address: String, _ port: String) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    private static func comesFirst(_ a: PortSummary, _ b: PortSummary) -> Bool {
        (a.PrivatePort ?? 0, a.IP ?? "", a.PublicPort ?? 0, a.Type ?? "") < (b.PrivatePort ?? 0, b.IP ?? "", b.PublicPort ?? 0, b.Type ?? "")
    }
}
