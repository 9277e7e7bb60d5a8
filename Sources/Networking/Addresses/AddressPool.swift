import Linux

/// The IPv4 addresses of a subnet that are in use. Addresses are given out in a circle, so that one that was just given
/// back is not used again at once by somebody else.
struct AddressPool {
    let subnet: IPPrefix
    let gateway: IPAddress
    private let first: UInt32
    private let last: UInt32
    private var next: UInt32
    private var used: Set<UInt32> = []

    /// Nil unless the subnet is IPv4 with room for a gateway and a container.
    init?(subnet: IPPrefix) {
        guard subnet.length <= 29, let network = IPAddress(bytes: subnet.networkBytes)?.v4Number else { return nil }
        let size = UInt32(truncatingIfNeeded: UInt64(1) << (32 - subnet.length))
        self.subnet = subnet
        gateway = IPAddress(v4: network + 1)
        first = network + 2
        last = network + (size - 2)
        next = first
    }

    /// Nil when all are in use.
    mutating func take() -> IPAddress? {
        guard used.count < Int(last - first) + 1 else { return nil }
        while used.contains(next) { advance() }
        used.insert(next)
        defer { advance() }
        return IPAddress(v4: next)
    }

    /// Marks an address that was given out earlier. False when it is in use or none of the subnet's.
    mutating func take(_ address: IPAddress) -> Bool {
        guard let number = address.v4Number, (first...last).contains(number) else { return false }
        return used.insert(number).inserted
    }

    mutating func release(_ address: IPAddress) {
        guard let number = address.v4Number else { return }
        used.remove(number)
    }

    private mutating func advance() {
        next = next == last ? first : next + 1
    }
}
