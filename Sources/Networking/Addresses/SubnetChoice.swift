import Linux

/// Chooses subnets that nobody else on the host uses.
enum SubnetChoice {
    /// The first of the pool that overlaps no other network and that no route of the host leads into. The default route
    /// and those of `ownLink` do not count.
    static func ipv4(pool: [String], others: [IPPrefix] = [], routes: [Route], ownLink: UInt32?) throws -> IPPrefix {
        for text in pool {
            guard let subnet = IPPrefix(text), subnet.address.isV4 else { throw NetworkError.invalidAddress(text) }
            if !others.contains(where: subnet.overlaps), isFree(subnet, routes: routes, ownLink: ownLink) { return subnet }
        }
        throw NetworkError.noFreeSubnet
    }

    static func isFree(_ subnet: IPPrefix, routes: [Route], ownLink: UInt32?) -> Bool {
        !routes.contains { !$0.isDefault && $0.link != ownLink && $0.destination.overlaps(subnet) }
    }

    /// The route that a chosen subnet would cut off: one to a part of it. A subnet within a wider route is the user's wish.
    static func conflict(_ subnet: IPPrefix, routes: [Route]) -> Route? {
        routes.first {
            !$0.isDefault && $0.destination.length >= subnet.length && $0.destination.address.isV4 == subnet.address.isV4
                && subnet.contains($0.destination.address)
        }
    }

    /// A unique local subnet (RFC 4193): `fd`, 40 random bits, subnet 0.
    static func ipv6() -> IPPrefix? {
        let random = (0..<5).map { _ in UInt8.random(in: 0...255) }
        return IPAddress(bytes: [0xfd] + random + [UInt8](repeating: 0, count: 10)).flatMap { IPPrefix($0, length: 64) }
    }

    /// The next free subnet of 64 bits beside the engine's first: all have the same 48 bits in front.
    static func ipv6(beside first: IPPrefix, others: [IPPrefix]) throws -> IPPrefix {
        for number in UInt16(1)...UInt16.max {
            let bytes = first.networkBytes.prefix(6) + [UInt8(number >> 8), UInt8(number & 0xff)] + [UInt8](repeating: 0, count: 8)
            guard let subnet = IPAddress(bytes: bytes).flatMap({ IPPrefix($0, length: 64) }) else { break }
            if !others.contains(where: subnet.overlaps) { return subnet }
        }
        throw NetworkError.noFreeSubnet
    }
}

extension IPPrefix {
    /// The address of the subnet whose last four bytes are those of `host`: what an IPv4 address is among its
    /// neighbours, its IPv6 address is too.
    func address(endingLike host: IPAddress) -> IPAddress? {
        IPAddress(bytes: networkBytes.dropLast(4) + host.bytes.suffix(4))
    }

    /// The first address behind the subnet's own.
    var firstHost: IPAddress? {
        var bytes = networkBytes
        guard let last = bytes.popLast() else { return nil }
        return IPAddress(bytes: bytes + [last | 1])
    }
}

/// Hardware addresses for bridges and containers: locally administered, made from the IPv4 address, so that a neighbour
/// who remembers an address never remembers a wrong one.
public enum HardwareAddress {
    /// Whether the text is a unicast address of six bytes.
    public static func isValid(_ text: String) -> Bool { parse(text) != nil }

    private static let ours: [UInt8] = [0x02, 0x5b]

    static func bytes(for address: IPAddress) -> [UInt8] {
        ours + address.bytes.suffix(4)
    }

    /// Whether it was made of an address, whichever that was.
    static func isOurs(_ bytes: [UInt8]) -> Bool { bytes.starts(with: ours) }

    static func text(_ bytes: [UInt8]) -> String {
        bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined(separator: ":")
    }

    /// Nil for what is no unicast address of six bytes.
    static func parse(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.count == 2 ? UInt8($0, radix: 16) : nil }
        guard parts.count == 6, bytes.count == 6, bytes[0] & 1 == 0, bytes.contains(where: { $0 != 0 }) else {
            return nil
        }
        return bytes
    }
}
