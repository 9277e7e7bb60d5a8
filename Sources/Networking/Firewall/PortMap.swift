import Linux

/// The maps that lead from a port of the host to an address and port of a container.
enum PortMap: String, CaseIterable {
    /// Ports published at one address: (address, protocol, port). Looked up before those published at all.
    case published4
    case published6
    /// Ports published at all addresses of the host: (protocol, port).
    case any4
    case any6

    init(_ binding: HostBinding) {
        switch (binding.address.isV4, binding.address.isUnspecified) {
        case (true, false): self = .published4
        case (true, true): self = .any4
        case (false, false): self = .published6
        case (false, true): self = .any6
        }
    }

    private var isV4: Bool { self == .published4 || self == .any4 }
    private var hasAddress: Bool { self == .published4 || self == .published6 }
    private var addressType: NftType { isV4 ? .ipv4 : .ipv6 }

    var set: NftSet {
        NftSet(
            name: rawValue, key: (hasAddress ? [addressType] : []) + [.transport, .port],
            value: .data([addressType, .port]))
    }

    /// Redirects the packet when the map knows its destination.
    var rule: [NftExpression] {
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
            .translate(.destination, family, address: .first, port: .cell(addressSize / 4)),
        ]
    }

    func key(_ binding: HostBinding) -> [UInt8] {
        NftElement.join(
            (hasAddress ? [binding.address.bytes] : []) + [[binding.proto.number], bigEndian(binding.port)])
    }

    static func value(_ address: IPAddress, _ port: UInt16) -> [UInt8] {
        NftElement.join([address.bytes, bigEndian(port)])
    }
}

extension Firewall {
    /// The elements of an endpoint's ports, by the map they belong to.
    func elements(of endpoint: EndpointInfo) throws -> [PortMap: [NftElement]] {
        var elements: [PortMap: [NftElement]] = [:]
        for port in endpoint.ports {
            for binding in try HostBinding.all(of: port, withIPv6: !endpoint.ipv6.isEmpty) {
                let text = binding.address.isV4 ? endpoint.ipv4 : endpoint.ipv6
                guard let target = IPAddress(text) else { throw NetworkError.invalidAddress(text) }
                let map = PortMap(binding)
                let value = NftElement.Value.data(PortMap.value(target, port.containerPort))
                elements[map, default: []].append(NftElement(key: map.key(binding), value: value))
            }
        }
        return elements
    }
}

private func bigEndian(_ port: UInt16) -> [UInt8] {
    [UInt8(port >> 8), UInt8(port & 0xff)]
}
