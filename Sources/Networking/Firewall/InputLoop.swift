import Linux

/// How the host's own rules for what comes in decide about published ports.
///
/// A packet for a published port would be redirected before routing, and never meet a chain at the hook input, which is where
/// ufw, firewalld and everybody else say what may come in. With a loop, the first packet of a connection from outside is not
/// redirected there. It goes on to the hook input with its own address and port, and what the host's chains drop is gone. What
/// they let pass is sent once around a cable between two devices of the host, and redirected as it comes in again; the rest of
/// the connection follows it directly, since connection tracking knows it by then.
///
/// ```
/// outside ─▶ prerouting ─▶ input: the host's chains ─▶ ours: published? mark it, send a copy to in0…, drop
///                                                                                    ║
/// container ◀─ forward ◀─ prerouting: redirected ◀─────────────────────────────── in1…
/// ```
/// Both devices have the same hardware address and ask nobody for it. Sources are those of clients, which a host that checks
/// them strictly (rp_filter) would not expect on this cable: it looks up the way back with the mark, and by a rule for that it
/// leads there. What has come in by the cable itself is looked up as everything else is.
struct InputLoop: Sendable, Equatable {
    let table: String
    let outerLink: UInt32
    let innerLink: UInt32

    var outer: String { Self.names(table: table).outer }
    var inner: String { Self.names(table: table).inner }

    static func names(table: String) -> (outer: String, inner: String) { ("in0-\(table.suffix(11))", "in1-\(table.suffix(11))") }

    /// Whether it may be of such a cable, of whichever engine.
    static func isDevice(_ link: Link) -> Bool { link.kind == "veth" && (link.name.hasPrefix("in0-") || link.name.hasPrefix("in1-")) }

    var mark: UInt32 { Self.mark(table: table) }

    /// By these the host tells our packets from all others. Made of the engine's name, so that what was left is found again.
    private static func mark(table: String) -> UInt32 {
        // FNV-1a.
        let hash = table.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return 0x736b_0000 | (hash ^ hash >> 16) & 0xffff
    }

    private static func rules(table: String) -> [MarkRule] {
        let mark = mark(table: table)
        return [
            MarkRule(mark: mark, input: names(table: table).inner, table: MarkRule.mainTable, priority: 5270),
            MarkRule(mark: mark, table: mark, priority: 5271),
        ]
    }

    /// Finds or makes the cable, down. Blocks.
    static func make(table: String) throws -> InputLoop {
        let names = names(table: table)
        var socket = try RouteSocket()
        if try socket.link(named: names.outer) == nil {
            let home = try NetworkNamespace.current()
            let address: [UInt8] = [2] + (0..<5).map { _ in UInt8.random(in: 0...255) }
            try socket.createVeth(
                VethPair(
                    name: names.outer, master: 0, peerName: names.inner, peerHardwareAddress: address, peerNamespace: home.raw, mtu: 65535))
        }
        guard let outer = try socket.link(named: names.outer), let inner = try socket.link(named: names.inner), outer.kind == "veth" else {
            throw NetworkError.unexpected("network device \(names.outer) exists and is not ours")
        }
        try socket.setHardwareAddress(outer.index, inner.hardwareAddress)
        return InputLoop(table: table, outerLink: outer.index, innerLink: inner.index)
    }

    /// Sets the cable up. Comes after the firewall. Blocks.
    func activate() throws {
        var socket = try RouteSocket()
        for name in [outer, inner] {
            try NetworkSettings.write("ipv4/conf/\(name)/rp_filter", 0)
            guard try NetworkSettings.read("ipv6/conf/\(name)/accept_ra") != nil else { continue }
            try NetworkSettings.write("ipv6/conf/\(name)/accept_ra", 0)
            try NetworkSettings.write("ipv6/conf/\(name)/addr_gen_mode", 1)
        }
        try NetworkSettings.write("ipv4/conf/\(inner)/src_valid_mark", 1)
        // Copies are sent to a neighbour of this address; without one of IPv6 there is no way to it.
        if try NetworkSettings.read("ipv6/conf/\(outer)/disable_ipv6") == 0, let own = IPPrefix("fe80::1/64") {
            try socket.addAddress(own, to: outerLink)
        }
        for link in [outerLink, innerLink] { try socket.setUp(link, asksNeighbours: false) }
        try socket.setOnlyRoute(ofTable: mark, link: innerLink)
        for rule in Self.rules(table: table) { try socket.addRule(rule) }
    }

    /// Takes away what an engine with this setting has made. Not an error when there is nothing. Blocks.
    static func remove(table: String) throws {
        var socket = try RouteSocket()
        for rule in rules(table: table) { try socket.deleteRule(rule) }
        if let outer = try socket.link(named: names(table: table).outer), outer.kind == "veth" { try socket.deleteLink(outer.index) }
        var nft = try NftSocket()
        for family in copyingFamilies {
            var transaction = NftTransaction(table: table, family: family)
            transaction.clearTable()
            try nft.commit(transaction)
        }
    }

    // MARK: Rules

    /// Only tables of one protocol can copy packets.
    static let copyingFamilies: [NftFamily] = [.ipv4, .ipv6]

    /// In our table: after all chains that may drop, packets for published ports are marked.
    func addMarking(_ transaction: inout NftTransaction) {
        transaction.addChain("accepted", hook: NftHook(.filter, .input, priority: 250))
        transaction.addRule("accepted", [.meta(.inputName), .compare(.equal, Rule.name("lo")), .verdict(.return)])
        // What has been around and was not redirected is for nobody.
        transaction.addRule("accepted", [.meta(.inputName), .compare(.equal, Rule.name(inner)), .verdict(.drop)])
        transaction.addRule("accepted", [.destinationKind(), .compare(.notEqual, Rule.hostOrder(2)), .verdict(.return)])
        for map in PortMap.allCases {
            transaction.addRule("accepted", map.match + [.load(Rule.hostOrder(mark)), .setMark(from: .first)])
        }
    }

    /// In a table of the same name for one protocol: what is marked is sent around.
    func copying(_ table: String, _ family: NftFamily, isProtected: Bool) -> NftTransaction {
        var transaction = NftTransaction(table: table, family: family)
        transaction.replaceTable(isProtected: isProtected)
        transaction.addChain("accepted", hook: NftHook(.filter, .input, priority: 251))
        // Any address that is found on the outer device.
        let neighbour = family == .ipv4 ? [192, 0, 0, 8] : [0xfe, 0x80] + Rule.zeros(13) + [2]
        transaction.addRule(
            "accepted",
            [
                .meta(.mark), .compare(.equal, Rule.hostOrder(mark)), .load(neighbour), .load(Rule.hostOrder(outerLink), into: .cell(4)),
                .copy(to: .first, link: .cell(4)), .verdict(.drop),
            ])
        return transaction
    }
}
