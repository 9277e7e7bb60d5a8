import Linux
import Logging

/// What our table allows has to pass the other tables of the host as well. Most of these are somebody's own business; but
/// iptables' chain FORWARD is where everybody who forwards is used to say so, and Docker and ufw make it drop by default. So
/// there, where it drops what no rule decides, stand a few rules of ours behind all others; what somebody drops by a rule stays
/// dropped:
///
/// ```
/// -o BRIDGE -j ACCEPT              our table decides what goes into a bridge
/// -i BRIDGE -o UPLINK -j ACCEPT    and what leaves it; to other people's bridges their rules decide
/// ```
/// They are written as `iptables` writes them, so that it can read them.
struct ForwardPass: Sendable {
    /// Whose rules these are: two engines may share a host.
    let table: String
    let networks: [NetworkDefinition]
    /// Their further bridges: with the module br_netfilter frames between their ports come by here.
    var segments: [String] = []
    /// The devices that lead out of the host.
    let uplinks: [String]

    struct Way: Hashable {
        var input: String?
        var output: String?
    }

    static let chain = "FORWARD"
    static let foreignTable = "filter"

    var comment: String { "\(table): passed on as its own table says" }

    /// Every way that packets may take.
    var ways: Set<Way> {
        var ways = Set(segments.map { Way(output: $0) })
        for network in networks {
            ways.insert(Way(output: network.device))
            if !network.isInternal { for uplink in uplinks { ways.insert(Way(input: network.device, output: uplink)) } }
        }
        return ways
    }

    /// What is missing and what is too much among the rules of that chain.
    func change(of chain: NftBaseChain, with rules: [NftRule]) -> NftTransaction {
        let own = rules.filter { $0.comment == comment }
        let wanted = chain.dropsByDefault ? ways : []
        var transaction = NftTransaction(table: chain.table, family: chain.family)
        var present: Set<Way> = []
        // Rules that came later belong before ours.
        let isBehind = rules.suffix(own.count).allSatisfy { $0.comment == comment }
        for rule in own {
            let way = Way(input: rule.inputName, output: rule.outputName)
            if !isBehind || !wanted.contains(way) || !present.insert(way).inserted { transaction.deleteRule(rule) }
        }
        let missing = wanted.subtracting(present).sorted { ($0.input ?? "", $0.output ?? "") < ($1.input ?? "", $1.output ?? "") }
        for way in missing {
            var expressions: [NftExpression] = []
            if let input = way.input { expressions += [.meta(.inputName), .compare(.equal, Self.name(input))] }
            if let output = way.output { expressions += [.meta(.outputName), .compare(.equal, Self.name(output))] }
            transaction.appendRule(chain.name, expressions + [.counter, .verdict(.accept)], comment: comment)
        }
        return transaction
    }

    /// As iptables compares a name: with the zero at its end, no more.
    private static func name(_ device: String) -> [UInt8] { Array(device.utf8.prefix(15)) + [0] }
}

extension FirewallTable {
    /// Brings our rules in iptables' chain FORWARD in line with our networks, and says so where that fails: what the host drops
    /// is the host's decision. Answers whether it succeeded. Blocks.
    @discardableResult
    func passForward(_ logger: Logger) -> Bool {
        do {
            try passForward()
            return true
        } catch {
            logger.warning("iptables may drop what containers send and receive", metadata: ["error": "\(error)"])
            return false
        }
    }
}
