import Linux
import Synchronization
import SystemPackage

/// The firewall on the host, and whose ports are open in it. One change at a time; everything here blocks.
///
/// From Linux 6.9 on the table belongs to this object: `nft flush ruleset`, or a firewall service that starts again,
/// leaves it alone, and it stays when the engine ends. On older kernels the next change puts a lost table back.
final class FirewallTable: Sendable {
    private let firewall: Firewall
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var open: [String: EndpointInfo]
        /// The owner of the table: always the same socket, opened by the first change.
        var socket: NftSocket?
        var isProtected: Bool

        mutating func commit(_ transaction: NftTransaction) throws(SystemError) {
            if socket == nil { socket = try NftSocket() }
            try socket?.commit(transaction)
        }

        mutating func hasTable(_ table: String) throws(SystemError) -> Bool {
            if socket == nil { socket = try NftSocket() }
            return try socket?.hasTable(table) ?? false
        }

        mutating func chains(_ table: String) throws(SystemError) -> [String: UInt32]? {
            try socket?.chains(table: table) ?? nil
        }
    }

    init(_ firewall: Firewall, open endpoints: [EndpointInfo], isProtected: Bool = true) {
        self.firewall = firewall
        let open = Dictionary(endpoints.map { ($0.containerID, $0) }, uniquingKeysWith: { _, last in last })
        state = Mutex(State(open: open, socket: nil, isProtected: isProtected))
    }

    /// Puts the table in place as it has to be, and looks whether the kernel has it.
    func install() throws {
        try state.withLock { try install(&$0) }
    }

    /// Opens the ports of an endpoint, all or none.
    func open(_ endpoint: EndpointInfo) throws {
        try state.withLock { state in
            state.open[endpoint.containerID] = endpoint
            do {
                try change(&state, try firewall.open(endpoint))
            } catch {
                state.open[endpoint.containerID] = nil
                throw error
            }
        }
    }

    /// Closes what is open of a container.
    func close(containerID: String) throws {
        try state.withLock { state in
            guard let endpoint = state.open.removeValue(forKey: containerID) else { return }
            try change(&state, try firewall.close(endpoint))
        }
    }

    /// Takes the table away. Not an error when there is none.
    func uninstall() throws {
        try state.withLock { state in
            state.open = [:]
            if try state.hasTable(firewall.table) { try state.commit(firewall.uninstall) }
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
        var transaction = try firewall.install(endpoints, isProtected: state.isProtected)
        do {
            try state.commit(transaction)
        } catch {
            // A kernel that knows no such tables.
            guard state.isProtected, error.errno == .notSupported || error.errno == .invalidArgument else {
                throw error
            }
            state.isProtected = false
            transaction = try firewall.install(endpoints, isProtected: false)
            try state.commit(transaction)
        }
        guard try state.chains(firewall.table) == transaction.rulesByChain else {
            throw NetworkError.unexpected("nftables table \(firewall.table) is not as it was made")
        }
    }
}
