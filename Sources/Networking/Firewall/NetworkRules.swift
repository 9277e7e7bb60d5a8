import Linux

/// The chains of one bridge network. docs/networking.md says in a table what they amount to.
struct NetworkRules {
    let network: NetworkDefinition
    /// The devices of its further bridges.
    var segments: [String] = []

    /// All its bridges.
    var devices: [String] { [network.device] + segments }

    private var mark: Substring { network.id.prefix(12) }
    private var early: String { "early-\(mark)" }
    private var source4: String { "source4-\(mark)" }
    private var source6: String { "source6-\(mark)" }
    private var input: String { "input-\(mark)" }
    private var outward: String { "outward-\(mark)" }
    private var inward: String { "inward-\(mark)" }
    private var segmentEarly: String { "segment-early-\(mark)" }
    private var segmentInput: String { "segment-in-\(mark)" }
    private var segmentOutward: String { "segment-out-\(mark)" }
    private var segmentInward: String { "segment-to-\(mark)" }

    func addChains(_ transaction: inout NftTransaction) {
        addEarly(&transaction)
        addInward(&transaction)
        if network.isInternal { addInternal(&transaction) } else { addLinkLocal(&transaction) }
        if !segments.isEmpty { addSegments(&transaction) }
    }

    /// Whether somebody may send under an address of this cable alone.
    private var hasLinkLocal: Bool { network.ipv4 != nil }

    /// The entries of the network's bridges in a map.
    func elements(of map: BridgeMap) -> [NftElement] {
        let chain: String? =
            switch map {
            case .early: segmentEarly
            case .input: segmentInput
            case .outward: segmentOutward
            case .inward: segmentInward
            case .redirected: nil
            }
        let further = chain.map { chain in segments.map { NftElement(key: Rule.name($0), value: .jump(chain)) } } ?? []
        return (element(of: map).map { [$0] } ?? []) + further
    }

    /// That of the first bridge; nil where the network has nothing to say there.
    private func element(of map: BridgeMap) -> NftElement? {
        let chain: String? =
            switch map {
            case .early: early
            case .inward: inward
            case .input: network.isInternal || hasLinkLocal ? input : nil
            case .outward: network.isInternal || hasLinkLocal ? outward : nil
            case .redirected: nil
            }
        return chain.map { NftElement(key: Rule.name(network.device), value: .jump($0)) }
    }

    /// Nobody may send as somebody from elsewhere.
    private func addEarly(_ transaction: inout NftTransaction) {
        transaction.addChain(early)
        transaction.addChain(source6)
        if let subnet = network.ipv4?.prefix {
            addLinkLocalSource(&transaction)
            transaction.addRule(early, Rule.ipv4 + Rule.notFrom(Rule.match(subnet)) + [.verdict(.goto(source4))])
        } else {
            transaction.addRule(early, Rule.ipv4 + [.verdict(.drop)])
        }
        transaction.addRule(early, Rule.ipv6 + [.verdict(.goto(source6))])
        if let subnet = network.ipv6?.prefix {
            transaction.addRule(source6, Rule.from(Rule.match(subnet)) + [.verdict(.accept)])
        }
        // Finding neighbours: from link-local addresses and, before there is one, from none.
        for prefix in [Rule.linkLocal6, Rule.unspecified6] {
            transaction.addRule(source6, Rule.from(prefix) + [.verdict(.accept)])
        }
        transaction.addRule(source6, [.verdict(.drop)])
    }

    /// Addresses of this cable alone may talk to each other: where the host filters bridged frames they come by here. None of them
    /// speaks to the host, its broadcast included.
    private func addLinkLocalSource(_ transaction: inout NftTransaction) {
        transaction.addChain(source4)
        for kind: UInt32 in [2, 3] {
            transaction.addRule(source4, [.destinationKind(), .compare(.equal, Rule.hostOrder(kind)), .verdict(.drop)])
        }
        transaction.addRule(source4, Rule.from(Rule.linkLocal4) + Rule.to(Rule.linkLocal4) + [.verdict(.accept)])
        transaction.addRule(source4, [.verdict(.drop)])
    }

    /// And they do not leave it, whatever the host's routes say.
    private func addLinkLocal(_ transaction: inout NftTransaction) {
        guard let subnet = network.ipv4?.prefix else { return }
        let source = Rule.ipv4 + Rule.from(Rule.linkLocal4) + Rule.notFrom(Rule.match(subnet))
        transaction.addChain(input)
        transaction.addRule(input, source + [.counter, .verdict(.drop)])
        transaction.addChain(outward)
        transaction.addRule(outward, [.meta(.outputName), .compare(.notEqual, Rule.name(network.device))] + source + [.counter, .verdict(.drop)])
    }

    private func addInward(_ transaction: inout NftTransaction) {
        transaction.addChain(inward)
        transaction.addRule(inward, Rule.bits(.state, Rule.establishedOrRelated) + [.verdict(.accept)])
        if !network.isInternal {
            transaction.addRule(inward, Rule.bits(.status, Rule.redirected) + [.verdict(.accept)])
        }
        if network.settings.connectsContainers {
            transaction.addRule(inward, Rule.fromBridge(network.device) + [.verdict(.accept)])
        } else {
            // Nor by a way round through the host, where somebody is open to others.
            transaction.addRule(inward, Rule.fromBridge(network.device) + [.counter, .verdict(.drop)])
        }
        if !network.isInternal { addGatewayModes(&transaction) }
        transaction.addRule(inward, [.counter, .verdict(.drop)])
    }

    private func addGatewayModes(_ transaction: inout NftTransaction) {
        for family in AddressFamily.allCases {
            switch network.settings.gatewayMode(family) {
            case .nat, .isolated: continue
            case .routed:
                let open: OpenPortSet = family == .v4 ? .open4 : .open6
                transaction.addRule(inward, open.match + [.verdict(.accept)])
                transaction.addRule(inward, open.ping + [.verdict(.accept)])
            case .natUnprotected:
                let packets = family == .v4 ? Rule.ipv4 : Rule.ipv6
                // Networks are apart all the same.
                transaction.addRule(inward, packets + [.meta(.inputName), .lookup(Rule.bridges), .counter, .verdict(.drop)])
                transaction.addRule(inward, packets + [.verdict(.accept)])
            }
        }
    }

    /// Nothing but answers to the host, and the finding of neighbours, without which not even those arrive.
    private func addInternal(_ transaction: inout NftTransaction) {
        transaction.addChain(input)
        transaction.addRule(input, Rule.bits(.state, Rule.establishedOrRelated) + [.verdict(.accept)])
        for kind in Rule.neighbourDiscovery {
            transaction.addRule(input, Rule.icmpv6(kind) + [.verdict(.accept)])
        }
        transaction.addRule(input, [.counter, .verdict(.drop)])
        transaction.addChain(outward)
        // Where the host filters bridged frames as well, those between neighbours come by here.
        transaction.addRule(
            outward,
            [.meta(.outputName), .compare(.notEqual, Rule.name(network.device)), .counter, .verdict(.drop)])
    }

    /// A further bridge is no way to the host, and none from it: nobody has a reason to send it anything. Frames between its ports
    /// come by here where the host filters bridged frames.
    private func addSegments(_ transaction: inout NftTransaction) {
        transaction.addChain(segmentEarly)
        // Tracked, translated and checked once, where they come by the first bridge: what the host sends comes by here as well.
        transaction.addRule(segmentEarly, [.untracked, .verdict(.accept)])
        transaction.addChain(segmentInput)
        transaction.addRule(segmentInput, [.counter, .verdict(.drop)])
        transaction.addChain(segmentOutward)
        for segment in segments { transaction.addRule(segmentOutward, Rule.toBridge(segment) + [.verdict(.return)]) }
        transaction.addRule(segmentOutward, [.counter, .verdict(.drop)])
        transaction.addChain(segmentInward)
        for segment in segments { transaction.addRule(segmentInward, Rule.fromBridge(segment) + [.verdict(.return)]) }
        transaction.addRule(segmentInward, [.counter, .verdict(.drop)])
    }

    func addPostrouting(_ transaction: inout NftTransaction) {
        let toBridge = Rule.toBridge(network.device)
        let redirected = Rule.bits(.status, Rule.redirected)
        for prefix in network.subnets.map(\.prefix) where !network.isInternal {
            let family = prefix.address.isV4 ? Rule.ipv4 : Rule.ipv6
            let loopback = prefix.address.isV4 ? Rule.loopback4 : Rule.loopback6
            let subnet = Rule.from(Rule.match(prefix))
            if network.settings.masquerades, network.settings.gatewayMode(prefix.address.family) != .routed {
                let leaving: [NftExpression] = [.meta(.outputName), .compare(.notEqual, Rule.name(network.device))]
                transaction.addRule("postrouting", family + subnet + leaving + [.masquerade])
            }
            // A container that reaches its neighbour, or itself, through the host's address: the answer has to come back
            // through the host as well.
            transaction.addRule("postrouting", family + subnet + toBridge + redirected + [.masquerade])
            transaction.addRule("postrouting", family + Rule.from(loopback) + toBridge + [.masquerade])
        }
    }
}
