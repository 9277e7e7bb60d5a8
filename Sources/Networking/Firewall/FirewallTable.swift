import Linux
import Synchronization
import SystemPackage

/// The firewall on the host, and whose ports are open in it. One change at a time; everything here blocks.
///
/// From Linux 6.9 on the table belongs to this object: `nft flush ruleset`, or a firewall service that starts again,
/// leaves it alone, and it stays when the engine ends. On older kernels the next change puts a lost table back.
final class FirewallTable: Sendable {
    private let table: String
    private let state: Mutex<State>
    /// The ways out of the host, as they were last read, and whether they are being read again.
    private let uplinks = Mutex((known: Uplinks(), isBeingRead: false))
    /// Held by whoever brings in line what passes.
    private let passing = Mutex(())

    private struct State: ~Copyable {
        var firewall: Firewall
        /// By endpoint.
        var open: [String: EndpointInfo]
        /// The owner of the table: always the same socket, opened by the first change.
        var socket: NftSocket?
        var isProtected: Bool
        /// Whether the table for bridges was made.
        var dropsReports = false
        /// The socket's number.
        var port: UInt32 = 0

        mutating func openSocket() throws(SystemError) {
            guard socket == nil else { return }
            let opened = try NftSocket()
            port = try opened.port()
            socket = consume opened
        }

        mutating func commit(_ transaction: NftTransaction) throws(SystemError) {
            try openSocket()
            try socket?.commit(transaction)
        }

        mutating func hasTable(_ table: String, _ family: NftFamily = .inet) throws(SystemError) -> Bool {
            try openSocket()
            return try socket?.hasTable(table, family) ?? false
        }

        /// The chains FORWARD of iptables, each with its rules.
        mutating func forwardChains() throws(SystemError) -> [(NftBaseChain, [NftRule])] {
            try openSocket()
            guard let chains = try socket?.baseChains() else { return [] }
            var found: [(NftBaseChain, [NftRule])] = []
            for chain in chains
            where chain.table == ForwardPass.foreignTable && chain.name == ForwardPass.chain && chain.family != .inet && chain.isAt(.forward) {
                found.append((chain, try socket?.rules(family: chain.family, table: chain.table, chain: chain.name) ?? []))
            }
            return found
        }

        mutating func chains(_ table: String) throws(SystemError) -> [String: UInt32]? {
            try socket?.chains(table: table) ?? nil
        }
    }

    init(table: String, isProtected: Bool = true) {
        self.table = table
        state = Mutex(State(firewall: Firewall(table: table, networks: []), open: [:], socket: nil, isProtected: isProtected))
    }

    /// Puts the table in place as it has to be, and looks whether the kernel has it.
    func install() throws {
        try state.withLock { try install(&$0) }
    }

    /// Makes the table anew, with these networks besides those that it has, and with what is open in them where that is
    /// given. Further bridges that are on the host, by network, are added to those that it knows.
    func install(with networks: [NetworkDefinition], segments: [String: [String]] = [:], open endpoints: [EndpointInfo]? = nil) throws {
        try state.withLock { state in
            let before = state.firewall.segments
            let added = Set(networks.map(\.id))
            state.firewall.networks = state.firewall.networks.filter { !added.contains($0.id) } + networks
            for (id, devices) in segments where !devices.isEmpty {
                state.firewall.segments[id, default: []] += devices.filter { before[id]?.contains($0) != true }
            }
            if let endpoints {
                state.open = Dictionary(endpoints.map { ($0.endpointID, $0) }, uniquingKeysWith: { _, last in last })
            }
            try install(&state, orElse: before)
        }
    }

    /// From the next installation on the host's own rules decide about what comes from outside.
    func setLoop(_ loop: InputLoop?) {
        state.withLock { $0.firewall.loop = loop }
    }

    /// Adds or replaces the rules of a network, before anything can reach it.
    func add(_ network: NetworkDefinition) throws {
        try state.withLock { state in
            let before = state.firewall.networks
            state.firewall.networks = before.filter { $0.id != network.id } + [network]
            do {
                try install(&state)
            } catch {
                state.firewall.networks = before
                throw error
            }
        }
    }

    /// Adds the rules of a further bridge of a network, before anything goes through it.
    func addSegment(_ device: String, of networkID: String) throws {
        try changeSegments(of: networkID) { devices in
            if !devices.contains(device) { devices.append(device) }
        }
    }

    /// Takes away the rules of a further bridge that is gone.
    func removeSegment(_ device: String, of networkID: String) throws {
        try changeSegments(of: networkID) { devices in devices.removeAll { $0 == device } }
    }

    /// Where that fails, the further bridges are those that were known before.
    private func install(_ state: inout State, orElse segments: [String: [String]]) throws {
        do {
            try install(&state)
        } catch {
            state.firewall.segments = segments
            throw error
        }
    }

    private func changeSegments(of networkID: String, _ change: (inout [String]) -> Void) throws {
        try state.withLock { state in
            let before = state.firewall.segments
            var devices = before[networkID] ?? []
            change(&devices)
            if devices == before[networkID] ?? [] { return }
            guard state.firewall.networks.contains(where: { $0.id == networkID }) else {
                throw NetworkError.unexpected("network \(networkID.prefix(12)) has no rules")
            }
            state.firewall.segments[networkID] = devices.isEmpty ? nil : devices
            try install(&state, orElse: before)
        }
    }

    /// Takes away the rules of a network whose device is gone.
    func remove(networkID: String) throws {
        try state.withLock { state in
            state.firewall.networks.removeAll { $0.id == networkID }
            state.firewall.segments[networkID] = nil
            try install(&state)
        }
    }

    /// Opens the ports of an endpoint, all or none.
    func open(_ endpoint: EndpointInfo) throws {
        try move(from: nil, to: endpoint)
    }

    /// Closes what is open of an endpoint.
    func close(_ endpoint: EndpointInfo) throws {
        try move(from: endpoint, to: nil)
    }

    /// Closes the ports of one endpoint and opens those of another, in place of what it has open, in one step.
    func move(from closed: EndpointInfo?, to opened: EndpointInfo?) throws {
        try state.withLock { state in
            let before = state.open
            let old = Set([closed, opened].compactMap { $0?.endpointID }).compactMap { state.open.removeValue(forKey: $0) }
            if let opened { state.open[opened.endpointID] = opened }
            do {
                try change(&state, try state.firewall.change(closing: old, opening: opened))
            } catch {
                if opened != nil { state.open = before }
                throw error
            }
        }
    }

    /// Brings our rules in iptables' chain FORWARD in line with our networks and the ways out of the host. One at a time, so that
    /// what was read last is written last; reading may take its time, and nobody else waits for it.
    func passForward(reading read: (Set<String>) throws -> Uplinks = Uplinks.read) throws {
        try passing.withLock { _ in
            let names = try readUplinks(read).names
            try state.withLock { state in
                let segments = state.firewall.segments.values.flatMap { $0 }
                let pass = ForwardPass(table: table, networks: state.firewall.networks, segments: segments, uplinks: names)
                for (chain, rules) in try state.forwardChains() { try state.commit(pass.change(of: chain, with: rules)) }
            }
        }
    }

    private func readUplinks(_ read: (Set<String>) throws -> Uplinks) throws -> Uplinks {
        let own = state.withLock { $0.firewall.devices }
        uplinks.withLock { $0.isBeingRead = true }
        defer { uplinks.withLock { $0.isBeingRead = false } }
        let found = try read(own)
        uplinks.withLock { $0.known = found }
        return found
    }

    /// Whether after that change other devices may lead out of the host than those that were found last.
    func mayMoveUplinks(_ change: NetlinkListener.Change) -> Bool {
        uplinks.withLock { $0.known.mayMove(change) || $0.isBeingRead && Uplinks.mayBeMissed(change) }
    }

    /// Whether a change with that number is one of ours.
    func isOwn(port: UInt32) -> Bool {
        state.withLock { $0.port == port }
    }

    /// Closes the socket that the table belongs to, as the end of the engine does.
    func letGo() {
        state.withLock { $0.socket = nil }
    }

    /// Takes the table away. Not an error when there is none.
    func uninstall() throws {
        try state.withLock { state in
            state.open = [:]
            state.firewall.networks = []
            state.firewall.segments = [:]
            let nothing = ForwardPass(table: table, networks: [], uplinks: [])
            for (chain, rules) in try state.forwardChains() { try state.commit(nothing.change(of: chain, with: rules)) }
            for family in [NftFamily.inet, .bridge] where try state.hasTable(table, family) {
                var transaction = NftTransaction(table: table, family: family)
                transaction.deleteTable()
                try state.commit(transaction)
            }
        }
    }

    private func change(_ state: inout State, _ transaction: NftTransaction) throws {
        if transaction.isEmpty { return }
        do {
            try state.commit(transaction)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            try install(&state)
        }
    }

    private func install(_ state: inout State) throws {
        let endpoints = Array(state.open.values)
        var transaction = try state.firewall.install(endpoints, isProtected: state.isProtected)
        do {
            try state.commit(transaction)
        } catch {
            // A kernel that knows no such tables.
            guard state.isProtected, error.errno == .notSupported || error.errno == .invalidArgument else {
                throw error
            }
            state.isProtected = false
            transaction = try state.firewall.install(endpoints, isProtected: false)
            try state.commit(transaction)
        }
        if let loop = state.firewall.loop {
            for family in InputLoop.copyingFamilies { try state.commit(loop.copying(table, family, isProtected: state.isProtected)) }
        }
        guard try state.chains(table) == transaction.rulesByChain else {
            throw NetworkError.unexpected("nftables table \(table) is not as it was made")
        }
        installReports(&state)
    }

    /// Once, and again when somebody has removed it. Nothing depends on it: whatever keeps us from it, a kernel without tables for
    /// bridges for instance, costs time alone.
    private func installReports(_ state: inout State) {
        do {
            if try state.dropsReports && state.hasTable(table, .bridge) { return }
            try state.commit(NeighbourReports.dropping(table: table, isProtected: state.isProtected))
            state.dropsReports = true
        } catch {
            state.dropsReports = false
        }
    }
}
