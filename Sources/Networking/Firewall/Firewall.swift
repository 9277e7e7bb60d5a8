import Linux

/// The rules of one bridge network, all in one nf_tables table of the family `inet`.
///
/// ```
/// early        prerouting, before connection tracking: what cannot be true is dropped
/// forward      forward: to the bridge only answers, published ports and neighbours; from the bridge everything
/// prerouting   \ nat: packets for one of the host's own addresses go through `ports`,
/// output       / which looks (address, protocol, port) up in the maps published4/6, then (protocol, port) in any4/6
/// postrouting  nat: masquerades what leaves the bridge, and what comes back to it through a published port
/// ```
/// A port is an element of a map, never a rule; a container's ports come and go in one transaction.
struct Firewall: Sendable {
    let table: String
    let network: BridgeNetwork

    /// The whole table anew, with the ports of these endpoints: replaces what is there in one step.
    /// A protected table belongs to the socket that makes it.
    func install(_ endpoints: [EndpointInfo], isProtected: Bool) throws -> NftTransaction {
        var transaction = NftTransaction(table: table)
        // Adding first makes sure that deleting succeeds.
        transaction.addTable()
        transaction.deleteTable()
        transaction.addTable(isProtected ? [.owned, .persistent] : [])
        for map in PortMap.allCases { transaction.addSet(map.set) }
        addEarly(&transaction)
        addForward(&transaction)
        addPorts(&transaction)
        addPostrouting(&transaction)
        for endpoint in endpoints {
            for (map, elements) in try elements(of: endpoint) { transaction.addElements(elements, to: map.rawValue) }
        }
        return transaction
    }

    /// Takes the table away. An error when there is none.
    var uninstall: NftTransaction {
        var transaction = NftTransaction(table: table)
        transaction.deleteTable()
        return transaction
    }

    func open(_ endpoint: EndpointInfo) throws -> NftTransaction {
        var transaction = NftTransaction(table: table)
        for (map, elements) in try elements(of: endpoint) { transaction.addElements(elements, to: map.rawValue) }
        return transaction
    }

    func close(_ endpoint: EndpointInfo) throws -> NftTransaction {
        var transaction = NftTransaction(table: table)
        for (map, elements) in try elements(of: endpoint) { transaction.deleteElements(elements, from: map.rawValue) }
        return transaction
    }

    // MARK: Chains

    private func addEarly(_ transaction: inout NftTransaction) {
        transaction.addChain("early", hook: NftHook(.filter, .prerouting, priority: -300))
        // The bridge may route to 127.0.0.0/8 (so that a published port answers there), and redirecting comes before
        // routing: nobody but the host itself may name these addresses (CVE-2020-8558).
        transaction.addRule(
            "early", [.meta(.inputName), .compare(.notEqual, name("lo"))] + ipv4 + to(loopback4) + [.verdict(.drop)])
        transaction.addChain("source6")
        transaction.addRule("early", fromBridge + ipv4 + notFrom(match(network.ipv4)) + [.verdict(.drop)])
        transaction.addRule("early", fromBridge + ipv6 + [.verdict(.goto("source6"))])
        if let subnet = network.ipv6 { transaction.addRule("source6", from(match(subnet)) + [.verdict(.accept)]) }
        // Finding neighbours: from link-local addresses and, before there is one, from none.
        for prefix in [linkLocal6, unspecified6] { transaction.addRule("source6", from(prefix) + [.verdict(.accept)]) }
        transaction.addRule("source6", [.verdict(.drop)])
    }

    private func addForward(_ transaction: inout NftTransaction) {
        transaction.addChain("inward")
        transaction.addRule("inward", bits(.state, ConnectionBits.establishedOrRelated) + [.verdict(.accept)])
        transaction.addRule("inward", bits(.status, ConnectionBits.redirected) + [.verdict(.accept)])
        transaction.addRule("inward", fromBridge + [.verdict(.accept)])
        transaction.addRule("inward", [.counter, .verdict(.drop)])
        transaction.addChain("forward", hook: NftHook(.filter, .forward, priority: 0))
        transaction.addRule("forward", toBridge + [.verdict(.goto("inward"))])
        transaction.addRule("forward", fromBridge + [.verdict(.accept)])
    }

    private func addPorts(_ transaction: inout NftTransaction) {
        transaction.addChain("ports")
        // The kernel takes no answers for ::1 from a bridge. Left alone, a client is refused at once and tries 127.0.0.1.
        transaction.addRule("ports", ipv6 + to(loopback6) + [.verdict(.return)])
        for map in PortMap.allCases { transaction.addRule("ports", map.rule) }
        for (chain, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
            transaction.addChain(chain, hook: NftHook(.nat, point, priority: -100))
            let local: [NftExpression] = [.destinationKind(), .compare(.equal, hostOrder(2))]
            transaction.addRule(chain, local + [.verdict(.jump("ports"))])
        }
    }

    private func addPostrouting(_ transaction: inout NftTransaction) {
        transaction.addChain("postrouting", hook: NftHook(.nat, .postrouting, priority: 100))
        let redirected = bits(.status, ConnectionBits.redirected)
        for subnet in [network.ipv4, network.ipv6].compactMap({ $0 }) {
            let family = subnet.address.isV4 ? ipv4 : ipv6
            let loopback = subnet.address.isV4 ? loopback4 : loopback6
            let leaving: [NftExpression] = [.meta(.outputName), .compare(.notEqual, name(network.bridgeName))]
            transaction.addRule("postrouting", family + from(match(subnet)) + leaving + [.masquerade])
            // A container that reaches its neighbour, or itself, through the host's address: the answer has to come back
            // through the host as well.
            transaction.addRule("postrouting", family + from(match(subnet)) + toBridge + redirected + [.masquerade])
            transaction.addRule("postrouting", family + from(loopback) + toBridge + [.masquerade])
        }
    }

    // MARK: Parts of rules

    private var fromBridge: [NftExpression] { [.meta(.inputName), .compare(.equal, name(network.bridgeName))] }
    private var toBridge: [NftExpression] { [.meta(.outputName), .compare(.equal, name(network.bridgeName))] }
    private var ipv4: [NftExpression] { [.meta(.family), .compare(.equal, [AddressFamily.v4.rawValue])] }
    private var ipv6: [NftExpression] { [.meta(.family), .compare(.equal, [AddressFamily.v6.rawValue])] }

    /// An address and the bits of it that count.
    private typealias Match = (bytes: [UInt8], mask: [UInt8])
    private var loopback4: Match { ([127, 0, 0, 0], [255, 0, 0, 0]) }
    private var loopback6: Match { (zeros(15) + [1], ones(16)) }
    private var linkLocal6: Match { ([0xfe, 0x80] + zeros(14), [0xff, 0xc0] + zeros(14)) }
    private var unspecified6: Match { (zeros(16), ones(16)) }
    private func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    private func ones(_ count: Int) -> [UInt8] { [UInt8](repeating: 255, count: count) }
    private func match(_ prefix: IPPrefix) -> Match { (prefix.networkBytes, prefix.maskBytes) }

    private func from(_ match: Match) -> [NftExpression] { address(match, .equal, offset4: 12, offset6: 8) }
    private func notFrom(_ match: Match) -> [NftExpression] { address(match, .notEqual, offset4: 12, offset6: 8) }
    private func to(_ match: Match) -> [NftExpression] { address(match, .equal, offset4: 16, offset6: 24) }

    /// The offset is that of the address in the IP header.
    private func address(
        _ match: Match, _ comparison: NftExpression.Comparison, offset4: UInt32, offset6: UInt32
    ) -> [NftExpression] {
        let size = UInt32(match.bytes.count)
        return [
            .payload(.network, offset: size == 4 ? offset4 : offset6, length: size), .mask(match.mask),
            .compare(comparison, match.bytes),
        ]
    }

    private func bits(_ key: NftExpression.ConnectionKey, _ mask: UInt32) -> [NftExpression] {
        [.connection(key), .mask(hostOrder(mask)), .compare(.notEqual, hostOrder(0))]
    }

    /// A device name as the kernel compares it: 16 bytes.
    private func name(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(15))
        return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }

    private func hostOrder(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    private enum ConnectionBits {
        static let establishedOrRelated: UInt32 = 2 | 4
        static let redirected: UInt32 = 1 << 5
    }
}
