import Linux

/// The ports that are open at containers' own addresses: (address, protocol, port).
enum OpenPortSet: String, CaseIterable {
    case open4
    case open6

    private var isV4: Bool { self == .open4 }
    fileprivate var family: AddressFamily { isV4 ? .v4 : .v6 }

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
    /// The elements of these endpoints' open ports. Ranges of a set do not overlap, those of a request may.
    func openElements(of endpoints: [EndpointInfo]) -> [OpenPortSet: [NftElement]] {
        var elements: [OpenPortSet: [NftElement]] = [:]
        for endpoint in endpoints {
            for set in OpenPortSet.allCases {
                guard let address = IPAddress(set == .open4 ? endpoint.ipv4 : endpoint.ipv6) else { continue }
                let ports = (endpoint.openPorts ?? []).filter { $0.hostAddress == set.family.everywhere }
                for proto in TransportProtocol.allCases {
                    for range in Self.joined(ports.filter { $0.proto == proto }.map(\.containerPorts)) {
                        func key(_ number: UInt16) -> [UInt8] {
                            NftElement.join([address.bytes, [proto.number], [UInt8(number >> 8), UInt8(number & 0xff)]])
                        }
                        elements[set, default: []].append(NftElement(key: key(range.lowerBound), lastKey: key(range.upperBound)))
                    }
                }
            }
        }
        return elements
    }

    /// The same ports in ranges that are apart.
    static func joined(_ ranges: [ClosedRange<UInt16>]) -> [ClosedRange<UInt16>] {
        var joined: [ClosedRange<UInt16>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard let last = joined.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 else {
                joined.append(range)
                continue
            }
            joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
        }
        return joined
    }
}

extension AddressFamily {
    /// All addresses of the family.
    var everywhere: String { self == .v4 ? "0.0.0.0" : "::" }
}
