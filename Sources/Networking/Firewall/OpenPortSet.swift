import Linux

/// The ports that are open at containers' own addresses: (address, protocol, port).
enum OpenPortSet: String, CaseIterable {
    case open4
    case open6

    private var isV4: Bool { self == .open4 }

    var set: NftSet { NftSet(name: rawValue, key: [isV4 ? .ipv4 : .ipv6, .transport, .port], hasRanges: true) }

    /// Goes on when the packet goes to one of them.
    var match: [NftExpression] {
        let size: UInt32 = isV4 ? 4 : 16
        return (isV4 ? Rule.ipv4 : Rule.ipv6) + [
            .payload(.network, offset: isV4 ? 16 : 24, length: size, into: .first), .meta(.transport, into: .cell(size / 4)),
            .payload(.transport, offset: 2, length: 2, into: .cell(size / 4 + 1)), .lookup(rawValue),
        ]
    }

    /// The packets by which others ask whether an address is there.
    var ping: [NftExpression] {
        if !isV4 { return Rule.icmpv6(128) }
        return Rule.ipv4 + [.meta(.transport), .compare(.equal, [1]), .payload(.transport, offset: 0, length: 1), .compare(.equal, [8])]
    }
}

extension Firewall {
    func openElements(of endpoints: [EndpointInfo]) -> [OpenPortSet: [NftElement]] {
        var elements: [OpenPortSet: [NftElement]] = [:]
        for endpoint in endpoints {
            for port in endpoint.openPorts ?? [] {
                let isV4 = port.hostAddress == "0.0.0.0"
                guard let address = IPAddress(isV4 ? endpoint.ipv4 : endpoint.ipv6) else { continue }
                func key(_ number: UInt16) -> [UInt8] {
                    NftElement.join([address.bytes, [port.proto.number], [UInt8(number >> 8), UInt8(number & 0xff)]])
                }
                let element = NftElement(key: key(port.containerPorts.lowerBound), lastKey: key(port.containerPorts.upperBound))
                if elements[isV4 ? .open4 : .open6]?.contains(element) != true { elements[isV4 ? .open4 : .open6, default: []].append(element) }
            }
        }
        return elements
    }
}
