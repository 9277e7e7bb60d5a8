import Linux
import SystemPackage

/// A chain of somebody else's that packets go through on this host, as far as it may drop something.
public struct HostFilter: Sendable, Equatable {
    public enum Point: Sendable {
        /// What comes in for the host itself.
        case input
        /// What is passed on, to and from containers.
        case forward
    }

    public let point: Point
    /// `chain FORWARD of table ip filter`
    public let name: String
    /// What its rules do not decide is dropped.
    public let dropsByDefault: Bool
    /// Rules that are not ours.
    public let rules: Int
    /// Rules of ours behind them let our networks pass.
    public let letsUsPass: Bool
}

extension Networks {
    /// The filters of others on this host, those of iptables in its old form as one without a number of rules.
    public func hostFilters() async throws -> [HostFilter] {
        let table = configuration.nftTable
        return try await host.run { try HostFilters(table: table).read() }
    }

    /// Whether these decide about published ports, too.
    public nonisolated var followsInputPolicy: Bool { configuration.followsInputPolicy }

    /// Whether a program of the host that is no container has the port, at any address.
    public func isTakenByHost(_ port: UInt16, _ proto: TransportProtocol) async throws -> Bool {
        try await host.run {
            var use = PortUse()
            return try use.holds(port, proto)
        }
    }
}

private struct HostFilters {
    let table: String

    /// Blocks.
    func read() throws -> [HostFilter] {
        var socket = try NftSocket()
        let comment = ForwardPass(table: table, networks: [], uplinks: []).comment
        var filters: [HostFilter] = []
        for chain in try socket.baseChains() where chain.kind == "filter" && chain.table != table {
            guard chain.isAt(.forward) || chain.isAt(.input) else { continue }
            let rules = try socket.rules(family: chain.family, table: chain.table, chain: chain.name)
            let own = rules.count { $0.comment == comment }
            guard chain.dropsByDefault || rules.count > own else { continue }
            filters.append(
                HostFilter(
                    point: chain.isAt(.forward) ? .forward : .input, name: "chain \(chain.name) of table \(chain.family) \(chain.table)",
                    dropsByDefault: chain.dropsByDefault, rules: rules.count - own, letsUsPass: own > 0))
        }
        return try filters + oldIptables()
    }

    /// Its rules are in tables of their own, which nf_tables does not show.
    private func oldIptables() throws -> [HostFilter] {
        var filters: [HostFilter] = []
        for (file, name) in [("ip_tables_names", "iptables-legacy"), ("ip6_tables_names", "ip6tables-legacy")] {
            do throws(SystemError) {
                let names = try OwnedFD.open(FilePath("/proc/thread-self/net/\(file)"), .readOnly).readAll(limit: 4096)
                guard String(decoding: names, as: UTF8.self).split(separator: "\n").contains("filter") else { continue }
            } catch {
                if error.errno == .noSuchFileOrDirectory { continue }
                throw error
            }
            filters.append(HostFilter(point: .forward, name: "the filters of \(name)", dropsByDefault: false, rules: 0, letsUsPass: false))
        }
        return filters
    }
}
