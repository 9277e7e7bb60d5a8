import Linux

/// Parts of rules.
enum Rule {
    /// The set of all bridges.
    static let bridges = "bridges"

    static func fromBridge(_ device: String) -> [NftExpression] { [.meta(.inputName), .compare(.equal, name(device))] }
    static func toBridge(_ device: String) -> [NftExpression] { [.meta(.outputName), .compare(.equal, name(device))] }
    static var ipv4: [NftExpression] { [.meta(.family), .compare(.equal, [AddressFamily.v4.rawValue])] }
    static var ipv6: [NftExpression] { [.meta(.family), .compare(.equal, [AddressFamily.v6.rawValue])] }

    /// An address and the bits of it that count.
    typealias Match = (bytes: [UInt8], mask: [UInt8])
    static var loopback4: Match { ([127, 0, 0, 0], [255, 0, 0, 0]) }
    static var loopback6: Match { (zeros(15) + [1], ones(16)) }
    static var linkLocal4: Match { ([169, 254, 0, 0], [255, 255, 0, 0]) }
    static var linkLocal6: Match { ([0xfe, 0x80] + zeros(14), [0xff, 0xc0] + zeros(14)) }
    static var unspecified6: Match { (zeros(16), ones(16)) }
    static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    static func ones(_ count: Int) -> [UInt8] { [UInt8](repeating: 255, count: count) }
    static func match(_ prefix: IPPrefix) -> Match { (prefix.networkBytes, prefix.maskBytes) }

    static func from(_ match: Match) -> [NftExpression] { address(match, .equal, offset4: 12, offset6: 8) }
    static func notFrom(_ match: Match) -> [NftExpression] { address(match, .notEqual, offset4: 12, offset6: 8) }
    static func to(_ match: Match) -> [NftExpression] { address(match, .equal, offset4: 16, offset6: 24) }

    /// The offset is that of the address in the IP header.
    static func address(
        _ match: Match, _ comparison: NftExpression.Comparison, offset4: UInt32, offset6: UInt32
    ) -> [NftExpression] {
        let size = UInt32(match.bytes.count)
        return [
            .payload(.network, offset: size == 4 ? offset4 : offset6, length: size), .mask(match.mask),
            .compare(comparison, match.bytes),
        ]
    }

    static func bits(_ key: NftExpression.ConnectionKey, _ mask: UInt32) -> [NftExpression] {
        [.connection(key), .mask(hostOrder(mask)), .compare(.notEqual, hostOrder(0))]
    }

    /// A device name as the kernel compares it: 16 bytes.
    static func name(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(15))
        return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }

    static func hostOrder(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    /// Bits of a connection's state and status.
    static let establishedOrRelated: UInt32 = 2 | 4
    static let redirected: UInt32 = 1 << 5

    /// Neighbour solicitation and advertisement.
    static let neighbourDiscovery: [UInt8] = [135, 136]

    static func icmpv6(_ kind: UInt8) -> [NftExpression] {
        ipv6 + transport(58) + bytes([kind], at: 0)
    }

    /// By its number in IP headers.
    static func transport(_ number: UInt8) -> [NftExpression] { [.meta(.transport), .compare(.equal, [number])] }

    /// What stands at an offset of the transport's header.
    static func bytes(_ bytes: [UInt8], at offset: UInt32) -> [NftExpression] {
        [.payload(.transport, offset: offset, length: UInt32(bytes.count)), .compare(.equal, bytes)]
    }
}
