import Linux

/// The maps that lead from a port of the host to an address and port of a container.
///
/// A range of ports that keep their numbers is one element of a map with ranges, whose value is the address alone.
enum PortMap: String, CaseIterable {
    /// Ports published at one address: (address, protocol, port). Looked up before those published at all.
    case published4
    case published6
    case range4
    case range6
    /// Ports published at all addresses of the host: (protocol, port).
    case any4
    case any6
    case anyrange4
    case anyrange6

    init(_ address: IPAddress, isRange: Bool) {
        switch (address.isV4, address.isUnspecified, isRange) {
        case (true, false, false): self = .published4
        case (true, false, true): self = .range4
        case (true, true, false): self = .any4
        case (true, true, true): self = .anyrange4
        case (false, false, false): self = .published6
        case (false, false, true): self = .range6
        case (false, true, false): self = .any6
        case (false, true, true): self = .anyrange6
        }
    }

    private var isV4: Bool { [.published4, .range4, .any4, .anyrange4].contains(self) }
    private var hasAddress: Bool { [.published4, .published6, .range4, .range6].contains(self) }
    private var isRange: Bool { [.range4, .range6, .anyrange4, .anyrange6].contains(self) }
    private var addressType: NftType { isV4 ? .ipv4 : .ipv6 }

    var set: NftSet {
        NftSet(
            name: rawValue, key: (hasAddress ? [addressType] : []) + [.transport, .port],
            value: .data([addressType] + (isRange ? [] : [.port])), hasRanges: isRange)
    }

    /// Redirects the packet when the map knows its destination.
    var rule: [NftExpression] {
        let addressCells: UInt32 = isV4 ? 1 : 4
        return match + [.translate(.destination, isV4 ? .v4 : .v6, address: .first, port: isRange ? nil : .cell(addressCells))]
    }

    /// Goes on when the map knows the packet's destination, with what it leads to loaded.
    var match: [NftExpression] {
        let addressSize: UInt32 = isV4 ? 4 : 16
        let family: AddressFamily = isV4 ? .v4 : .v6
        var cell: UInt32 = 0
        var steps: [NftExpression] = [.meta(.family), .compare(.equal, [family.rawValue])]
        if hasAddress {
            steps.append(.payload(.network, offset: isV4 ? 16 : 24, length: addressSize, into: .first))
            cell = addressSize / 4
        }
        return steps + [
            .meta(.transport, into: .cell(cell)),
            .payload(.transport, offset: 2, length: 2, into: .cell(cell + 1)),
            .lookup(rawValue, key: .first, into: .first),
        ]
    }

    fileprivate func key(_ binding: TargetedBinding, _ port: UInt16) -> [UInt8] {
        NftElement.join(
            (hasAddress ? [binding.host.address.bytes] : []) + [[binding.host.proto.number], bigEndian(port)])
    }

    fileprivate func value(_ target: IPAddress, _ port: UInt16?) -> NftElement.Value {
        .data(NftElement.join([target.bytes] + (port.map { [bigEndian($0)] } ?? [])))
    }
}

/// A binding of the host and where it leads.
struct TargetedBinding {
    let host: HostBinding
    let target: IPAddress
    let targetPort: UInt16

    /// Whether its ports keep their numbers, and only then a run of them is one element.
    fileprivate var keepsNumbers: Bool { host.port == targetPort }

    /// Whether it goes on where the other ends.
    fileprivate func continues(_ other: TargetedBinding) -> Bool {
        keepsNumbers && other.keepsNumbers && Int(other.host.last) + 1 == Int(host.port)
            && target == other.target && host.address == other.host.address && host.proto == other.host.proto
    }
}

extension Firewall {
    /// All ports of an endpoint, with what they lead to.
    func bindings(of endpoint: EndpointInfo) throws -> [TargetedBinding] {
        var found: [TargetedBinding] = []
        for port in endpoint.ports {
            for binding in try HostBinding.all(of: port, withIPv6: !endpoint.ipv6.isEmpty) {
                let text = binding.address.isV4 ? endpoint.ipv4 : endpoint.ipv6
                // An address of a family that the container does not have leads nowhere.
                if text.isEmpty { continue }
                guard let target = IPAddress(text) else { throw NetworkError.invalidAddress(text) }
                found.append(TargetedBinding(host: binding, target: target, targetPort: port.containerPort))
            }
        }
        return found
    }

    /// The elements of these bindings, by the map they belong to.
    func elements(of bindings: [TargetedBinding]) throws -> [PortMap: [NftElement]] {
        let sorted = bindings.sorted {
            ($0.host.address.number, $0.host.address.bytes.count, $0.host.proto.number, $0.host.port)
                < ($1.host.address.number, $1.host.address.bytes.count, $1.host.proto.number, $1.host.port)
        }
        var elements: [PortMap: [NftElement]] = [:]
        var rest = sorted[...]
        while let first = rest.popFirst() {
            var last = first
            while let next = rest.first, next.continues(last) {
                last = next
                rest.removeFirst()
            }
            if first.keepsNumbers, last.host.last != first.host.port {
                let map = PortMap(first.host.address, isRange: true)
                elements[map, default: []].append(
                    NftElement(key: map.key(first, first.host.port), lastKey: map.key(last, last.host.last), value: map.value(first.target, nil)))
                continue
            }
            let map = PortMap(first.host.address, isRange: false)
            for port in first.host.port...first.host.last {
                elements[map, default: []].append(
                    NftElement(key: map.key(first, port), value: map.value(first.target, first.targetPort + (port - first.host.port))))
            }
        }
        return elements
    }
}

private func bigEndian(_ port: UInt16) -> [UInt8] {
    [UInt8(port >> 8), UInt8(port & 0xff)]
}
