import Linux

/// Chooses subnets that nobody else on the host uses.
enum SubnetChoice {
    /// The first of the pool that no route of the host leads into. The default route and those of `ownLink` do not count.
    static func ipv4(pool: [String], routes: [Route], ownLink: UInt32?) throws -> IPPrefix {
        for text in pool {
            guard let subnet = IPPrefix(text), subnet.address.isV4 else { throw NetworkError.invalidAddress(text) }
            if isFree(subnet, routes: routes, ownLink: ownLink) { return subnet }
        }
        throw NetworkError.noFreeSubnet
    }

    static func isFree(_ subnet: IPPrefix, routes: [Route], ownLink: UInt32?) -> Bool {
        !routes.contains { !$0.isDefault && $0.link != ownLink && $0.destination.overlaps(subnet) }
    }

    /// A unique local subnet (RFC 4193): `fd`, 40 random bits, subnet 0.
    static func ipv6() -> IPPrefix? {
        let random = (0..<5).map { _ in UInt8.random(in: 0...255) }
        return IPAddress(bytes: [0xfd] + random + [UInt8](repeating: 0, count: 10)).flatMap { IPPrefix($0, length: 64) }
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
enum HardwareAddress {
    static func bytes(for address: IPAddress) -> [UInt8] {
        [0x02, 0x5b] + address.bytes.suffix(4)
    }

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
