import Linux

/// Keeps the bridges quiet, in a table of the family `bridge` beside the firewall's.
///
/// Whoever has an address of IPv6 reports to all routers that it listens to its neighbours' questions about that address (MLD,
/// RFC 3810). On a bridge of containers alone nobody is there to read it: such groups are of one cable only, and the bridge passes on
/// everything to everybody, whoever says otherwise (`RouteSocket.floodGroups`). But each of four reports would go to every container
/// of the network: 40 ms of the host's time for one start beside a thousand others. Reports about other groups pass.
enum NeighbourReports {
    /// What cables on such bridges are marked with, as a group of devices.
    static let group: UInt32 = 0x736b

    /// In place of what is there, in one step.
    static func dropping(table: String, isProtected: Bool) -> NftTransaction {
        var transaction = NftTransaction(table: table, family: .bridge)
        transaction.replaceTable(isProtected: isProtected)
        transaction.addChain(chain, hook: NftHook(.filter, .prerouting, priority: -200))
        for groups: UInt32 in 1...2 { transaction.addRule(chain, fromCable + report(groups: groups) + [.counter, .verdict(.drop)]) }
        return transaction
    }

    private static let chain = "reports"

    private static var fromCable: [NftExpression] {
        [.meta(.inputGroup), .compare(.equal, Rule.hostOrder(group))]
    }

    /// A report of so many groups, all of them those of a neighbour's address.
    private static func report(groups: UInt32) -> [NftExpression] {
        // Without sources or further data, as the kernel sends them.
        let size: UInt32 = 20
        var expressions = Rule.transport(58) + Rule.bytes([143], at: 0) + Rule.bytes([0, UInt8(groups)], at: 6)
        for group in 0..<groups {
            expressions += Rule.bytes([0, 0, 0], at: 8 + group * size + 1) + Rule.bytes(solicitedNode, at: 8 + group * size + 4)
        }
        return expressions
    }

    /// ff02::1:ff00:0/104
    private static let solicitedNode: [UInt8] = [0xff, 2] + Rule.zeros(9) + [1, 0xff]
}
