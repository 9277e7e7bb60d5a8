import Linux

/// The rules of all bridge networks, in one nf_tables table of the family `inet`.
///
/// ```
/// early        prerouting, before connection tracking: what cannot be true is dropped; by bridge, through the map `early_by`
/// input        what an internal network, and an address of one cable, must not ask of the host; through `input_by`
/// forward      out of an internal network nothing, and nothing under an address of one cable (`outward_by`); into a bridge
///              only answers, published ports and, where the network allows it, neighbours, ports that are open at containers'
///              own addresses (sets open4/6) and all but other networks (`bridges`) (`inward_by`). So networks are apart before
///              any port opens
/// prerouting   \ nat: packets for one of the host's own addresses go through `ports`,
/// output       / which looks (address, protocol, port) up in the maps published4/6 and range4/6, then (protocol, port) in
///                any4/6 and anyrange4/6
/// postrouting  nat: masquerades what leaves a bridge, and what comes back to it through a published port
/// ```
/// A bridge is an element of four verdict maps, a port an element of a map, never a rule: what a packet costs does not
/// grow with either. A container's ports come and go in one transaction; a network comes and goes with the whole table,
/// which is replaced in one step.
struct Firewall: Sendable {
    let table: String
    var networks: [NetworkDefinition]
    /// The further bridges of networks, by id.
    var segments: [String: [String]] = [:]
    /// Where the host's own rules decide about what comes from outside.
    var loop: InputLoop?

    /// All that are the engine's own.
    var devices: Set<String> { Set(networks.map(\.device) + segments.values.joined() + (loop.map { [$0.outer, $0.inner] } ?? [])) }

    /// The whole table anew, with the ports of these endpoints: replaces what is there in one step.
    /// A protected table belongs to the socket that makes it.
    func install(_ endpoints: [EndpointInfo], isProtected: Bool) throws -> NftTransaction {
        var transaction = NftTransaction(table: table)
        transaction.replaceTable(isProtected: isProtected)
        for map in PortMap.allCases { transaction.addSet(map.set) }
        for map in BridgeMap.allCases { transaction.addSet(map.set) }
        for set in OpenPortSet.allCases { transaction.addSet(set.set) }
        transaction.addSet(NftSet(name: Rule.bridges, key: [.interface]))
        let rules = networks.map { NetworkRules(network: $0, segments: segments[$0.id] ?? []) }
        for network in rules { network.addChains(&transaction) }
        addEarly(&transaction)
        addFilters(&transaction)
        addPorts(&transaction)
        loop?.addMarking(&transaction)
        transaction.addChain("postrouting", hook: NftHook(.nat, .postrouting, priority: 100))
        for network in rules { network.addPostrouting(&transaction) }
        for map in BridgeMap.allCases {
            transaction.addElements(rules.flatMap { $0.elements(of: map) }, to: map.rawValue)
        }
        transaction.addElements(rules.flatMap(\.devices).map { NftElement(key: Rule.name($0)) }, to: Rule.bridges)
        for (set, elements) in openElements(of: endpoints) { transaction.addElements(elements, to: set.rawValue) }
        if let loop {
            let devices = networks.map(\.device) + [loop.inner]
            transaction.addElements(devices.map { NftElement(key: Rule.name($0), value: .jump("ports")) }, to: BridgeMap.redirected.rawValue)
        }
        for (map, elements) in try elements(of: endpoints.flatMap { try bindings(of: $0) }) {
            transaction.addElements(elements, to: map.rawValue)
        }
        return transaction
    }

    /// Closes the ports of endpoints and opens those of another, in one step. What both have is left alone.
    func change(closing closed: [EndpointInfo], opening opened: EndpointInfo?) throws -> NftTransaction {
        var transaction = NftTransaction(table: table)
        let old = try elements(of: closed.flatMap { try bindings(of: $0) })
        let new = try elements(of: opened.map(bindings) ?? [])
        for map in PortMap.allCases {
            let (before, after) = (Set(old[map] ?? []), Set(new[map] ?? []))
            transaction.deleteElements((old[map] ?? []).filter { !after.contains($0) }, from: map.rawValue)
            transaction.addElements((new[map] ?? []).filter { !before.contains($0) }, to: map.rawValue)
        }
        let (closing, opening) = (openElements(of: closed), openElements(of: opened.map { [$0] } ?? []))
        for set in OpenPortSet.allCases {
            let (before, after) = (closing[set] ?? [], opening[set] ?? [])
            transaction.deleteElements(before.filter { !after.contains($0) }, from: set.rawValue)
            transaction.addElements(after.filter { !before.contains($0) }, to: set.rawValue)
        }
        return transaction
    }

    private func addEarly(_ transaction: inout NftTransaction) {
        transaction.addChain("early", hook: NftHook(.filter, .prerouting, priority: -300))
        // A bridge may route to 127.0.0.0/8 (so that a published port answers there), and redirecting comes before
        // routing: nobody but the host itself may name these addresses (CVE-2020-8558).
        transaction.addRule(
            "early",
            [.meta(.inputName), .compare(.notEqual, Rule.name("lo"))] + Rule.ipv4 + Rule.to(Rule.loopback4)
                + [.verdict(.drop)])
        transaction.addRule("early", [.meta(.inputName), .verdict(from: BridgeMap.early.rawValue)])
    }

    private func addFilters(_ transaction: inout NftTransaction) {
        transaction.addChain("input", hook: NftHook(.filter, .input, priority: 0))
        transaction.addRule("input", [.meta(.inputName), .verdict(from: BridgeMap.input.rawValue)])
        transaction.addChain("forward", hook: NftHook(.filter, .forward, priority: 0))
        // A map's chain ends with its own verdict or comes back here: a packet may belong to two networks.
        transaction.addRule("forward", [.meta(.inputName), .verdict(from: BridgeMap.outward.rawValue)])
        transaction.addRule("forward", [.meta(.outputName), .verdict(from: BridgeMap.inward.rawValue)])
    }

    private func addPorts(_ transaction: inout NftTransaction) {
        transaction.addChain("ports")
        // The kernel takes no answers for ::1 from a bridge. Left alone, a client is refused at once and tries 127.0.0.1.
        transaction.addRule("ports", Rule.ipv6 + Rule.to(Rule.loopback6) + [.verdict(.return)])
        for map in PortMap.allCases { transaction.addRule("ports", map.rule) }
        for (chain, point) in [("prerouting", NftHook.Point.prerouting), ("output", .output)] {
            transaction.addChain(chain, hook: NftHook(.nat, point, priority: -100))
            let local: [NftExpression] = [.destinationKind(), .compare(.equal, Rule.hostOrder(2))]
            if loop != nil, point == .prerouting {
                transaction.addRule(chain, local + [.meta(.inputName), .verdict(from: BridgeMap.redirected.rawValue)])
            } else {
                transaction.addRule(chain, local + [.verdict(.jump("ports"))])
            }
        }
    }
}

/// Which chain of its network a packet goes through, by the bridge it came from or goes to.
enum BridgeMap: String, CaseIterable {
    case early = "early_by"
    case input = "input_by"
    case outward = "outward_by"
    case inward = "inward_by"
    /// Only where there is a loop: what comes by other devices has to go by the host's input first.
    case redirected = "redirected_by"

    var set: NftSet { NftSet(name: rawValue, key: [.interface], value: .verdict) }
}
