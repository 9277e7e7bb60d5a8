import Linux

/// One subnet of a network: what was asked for, or chosen.
struct Subnet: Sendable, Equatable {
    var prefix: IPPrefix
    /// Where addresses are given out from; nil is the whole subnet.
    var range: IPPrefix?
    var gateway: IPAddress
    /// Addresses that others use, by the name that the user gave them.
    var reserved: [String: IPAddress] = [:]

    /// The first address is the gateway's unless another one is given. Nil when the subnet has no room for it.
    init?(_ prefix: IPPrefix, range: IPPrefix? = nil, gateway: IPAddress? = nil, reserved: [String: IPAddress] = [:]) {
        guard let gateway = gateway ?? prefix.firstHost else { return nil }
        self.prefix = prefix
        self.range = range
        self.gateway = gateway
        self.reserved = reserved
    }
}

/// The addresses of a subnet that are in use. Addresses are given out in a circle, so that one that was just given
/// back is not used again at once by somebody else.
struct AddressPool: Sendable {
    private let subnet: IPPrefix
    private let first: UInt128
    private let last: UInt128
    private var next: UInt128
    private var used: Set<UInt128>

    /// Nil unless the subnet has room for a gateway and a container.
    init?(_ subnet: Subnet) {
        let prefix = subnet.prefix
        let bits = prefix.address.bytes.count * 8
        guard prefix.length <= bits - 2, let network = IPAddress(bytes: prefix.networkBytes)?.number else { return nil }
        let range = subnet.range ?? prefix
        guard let start = IPAddress(bytes: range.networkBytes)?.number else { return nil }
        // Neither the subnet's own address nor, for IPv4, its broadcast address is anybody's.
        let end = start | Self.hostMask(range, bits)
        let lastOfSubnet = network | Self.hostMask(prefix, bits)
        self.subnet = prefix
        first = max(start, network + 1)
        last = min(end, prefix.address.isV4 ? lastOfSubnet - 1 : lastOfSubnet)
        next = first
        used = Set(([subnet.gateway] + subnet.reserved.values).map(\.number))
        guard first <= last else { return nil }
    }

    private static func hostMask(_ prefix: IPPrefix, _ bits: Int) -> UInt128 {
        (UInt128(1) << UInt128(bits - prefix.length)) &- 1
    }

    /// Nil when all are in use.
    mutating func take() -> IPAddress? {
        // One more than are in use has a free one among them.
        for _ in 0...used.count {
            let candidate = next
            next = next == last ? first : next + 1
            if used.insert(candidate).inserted { return IPAddress(number: candidate, like: subnet.address) }
        }
        return nil
    }

    /// Marks one address. False when it is in use, or no address for a container of this subnet.
    mutating func take(_ address: IPAddress) -> Bool {
        guard contains(address) else { return false }
        return used.insert(address.number).inserted
    }

    /// Whether it could be an address of a container, in use or not.
    func contains(_ address: IPAddress) -> Bool {
        guard subnet.contains(address), let network = IPAddress(bytes: subnet.networkBytes)?.number else { return false }
        let lastOfSubnet = network | Self.hostMask(subnet, address.bytes.count * 8)
        return address.number != network && !(address.isV4 && address.number == lastOfSubnet)
    }

    /// Whether addresses are given out from there, not only accepted.
    func gives(_ address: IPAddress) -> Bool {
        contains(address) && (first...last).contains(address.number)
    }

    mutating func release(_ address: IPAddress) {
        used.remove(address.number)
    }
}

extension IPAddress {
    /// The bytes as one number.
    var number: UInt128 { bytes.reduce(0) { $0 << 8 | UInt128($1) } }

    /// The address of a number, of the same family as another address.
    init?(number: UInt128, like other: IPAddress) {
        let count = other.bytes.count
        self.init(bytes: (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt128((count - 1 - $0) * 8)) })
    }
}
