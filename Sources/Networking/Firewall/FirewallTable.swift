import Linux
import Synchronization
import SystemPackage

/// The firewall on the host, and whose ports are open in it. One change at a time; everything here blocks.
///
/// When somebody else has removed the table, the next change puts the whole of it back.
final class FirewallTable: Sendable {
    private let firewall: Firewall
    private let open: Mutex<[String: EndpointInfo]>

    init(_ firewall: Firewall, open endpoints: [EndpointInfo]) {
        self.firewall = firewall
        open = Mutex(Dictionary(endpoints.map { ($0.containerID, $0) }, uniquingKeysWith: { _, last in last }))
    }

    /// Puts the table in place as it has to be, and looks whether the kernel has it.
    func install() throws {
        try open.withLock { try install($0) }
    }

    /// Opens the ports of an endpoint, all or none.
    func open(_ endpoint: EndpointInfo) throws {
        try open.withLock { open in
            open[endpoint.containerID] = endpoint
            do {
                try change(open, try firewall.open(endpoint))
            } catch {
                open[endpoint.containerID] = nil
                throw error
            }
        }
    }

    /// Closes what is open of a container.
    func close(containerID: String) throws {
        try open.withLock { open in
            guard let endpoint = open.removeValue(forKey: containerID) else { return }
            try change(open, try firewall.close(endpoint))
        }
    }

    /// Takes the table away. Not an error when there is none.
    func uninstall() throws {
        try open.withLock { open in
            open = [:]
            try removeTable()
        }
    }

    private func removeTable() throws {
        var socket = try NftSocket()
        if try socket.hasTable(firewall.table) { try socket.commit(firewall.uninstall) }
    }

    private func change(_ open: [String: EndpointInfo], _ transaction: NftTransaction) throws {
        if transaction.isEmpty { return }
        do {
            try commit(transaction)
        } catch where error.errno == .noSuchFileOrDirectory {
            try install(open)
        }
    }

    private func commit(_ transaction: NftTransaction) throws(SystemError) {
        var socket = try NftSocket()
        try socket.commit(transaction)
    }

    private func install(_ open: [String: EndpointInfo]) throws {
        let transaction = try firewall.install(Array(open.values))
        var socket = try NftSocket()
        try socket.commit(transaction)
        guard try socket.chains(table: firewall.table) == transaction.rulesByChain else {
            throw NetworkError.unexpected("nftables table \(firewall.table) is not as it was made")
        }
    }
}
