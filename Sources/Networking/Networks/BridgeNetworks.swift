public import Linux
public import Logging
public import Store

/// The bridge networks of one engine on one host.
///
/// Order for a container: `reserve` (addresses, ports, database), `connect` once its network namespace exists,
/// `disconnect` when it has ended. `prepare` comes before everything else. Blocking work happens on plain threads.
public actor BridgeNetworks {
    /// The name of the network that containers get without asking.
    public static let defaultNetwork = "bridge"

    let database: Database
    let logger: Logger
    let configuration: Configuration
    let host: Host
    var prepared: Prepared?
    var endpoints: [String: Endpoint] = [:]
    /// Network devices on their way out, by endpoint.
    var removals: [String: Task<Void, Never>] = [:]
    private var preparation: Task<Void, any Error>?

    /// What there is once `prepare` has succeeded.
    struct Prepared {
        var network: BridgeNetwork
        var addresses: AddressPool
        let firewall: FirewallTable
    }

    /// A container's endpoint, or a claim to one that is being reserved.
    struct Endpoint {
        let address: IPAddress
        var bindings: [HostBinding]
        var info: EndpointInfo?
        var ports: HeldPorts?
        /// Set while the endpoint is on its way out.
        var ending: Task<Void, Never>?
    }

    public init(database: Database, logger: Logger, configuration: Configuration = Configuration()) {
        self.database = database
        self.logger = logger
        self.configuration = configuration
        host = Host(namespace: configuration.hostNamespace)
    }

    /// Makes what all containers share: bridge, addresses, forwarding, firewall. Repairs what is there; idempotent.
    public func prepare() async throws {
        if let preparation { return try await preparation.value }
        let task = Task { try await prepareNow() }
        preparation = task
        defer { preparation = nil }
        try await task.value
    }

    private func prepareNow() async throws {
        try configuration.validate()
        if prepared == nil { try await load() }
        guard var prepared else { return }
        let interfaces = Set(endpoints.values.compactMap { $0.info?.hostInterface })
        prepared.network = try await host.run { [network = prepared.network, firewall = prepared.firewall] in
            var network = network
            try BridgeDevice.make(&network)
            // No packet is passed on before there are rules for it.
            try firewall.install()
            try Forwarding.enable(withIPv6: network.ipv6 != nil)
            try BridgeDevice.activate(network)
            try BridgeDevice.adopt(interfaces, of: network)
            return network
        }
        self.prepared?.network = prepared.network
    }

    /// What the database knows of the network and its endpoints; chooses what has to be chosen.
    private func load() async throws {
        let record = try await database.networks.all().first { $0.name == Self.defaultNetwork }
        let records = try await database.endpoints.all().filter { $0.networkID == record?.id }
        let network = try await choose(record, mayMove: records.isEmpty)
        try await database.networks.save(
            id: network.id, name: network.name, created: network.created, json: network.json)
        guard var addresses = AddressPool(subnet: network.ipv4) else {
            throw NetworkError.invalidAddress(network.ipv4.description)
        }
        var infos: [EndpointInfo] = []
        for record in records {
            guard
                let info = try EndpointInfo(
                    containerID: record.containerID, networkID: record.networkID, json: record.json),
                let address = IPAddress(info.ipv4), addresses.take(address)
            else {
                logger.error(
                    "an endpoint in the database cannot be used", metadata: ["container": "\(record.containerID)"])
                continue
            }
            let bindings = try info.ports.flatMap { try HostBinding.all(of: $0, withIPv6: network.ipv6 != nil) }
            endpoints[info.containerID] = Endpoint(address: address, bindings: bindings, info: info)
            infos.append(info)
        }
        let firewall = Firewall(table: configuration.nftTable, network: network)
        prepared = Prepared(
            network: network, addresses: addresses, firewall: FirewallTable(firewall, open: infos))
    }

    /// Keeps the subnets of a stored network, unless nobody needs them and somebody else has them.
    private func choose(_ record: NetworkRecord?, mayMove: Bool) async throws -> BridgeNetwork {
        let stored = try record.map { try BridgeNetwork.subnets(json: $0.json) }
        let (ipv4, hasIPv6) = try await host.run { [configuration] in
            let ipv4 = try BridgeDevice.chooseIPv4(
                pool: configuration.ipv4Pool, stored: stored?.ipv4, mayMove: mayMove,
                bridgeName: configuration.bridgeName)
            return (ipv4, try BridgeDevice.hostHasIPv6)
        }
        let network = BridgeNetwork(
            id: record?.id ?? randomID(), name: Self.defaultNetwork,
            created: record?.created ?? Timestamp.now().description, bridgeName: configuration.bridgeName, ipv4: ipv4,
            storedIPv6: stored?.ipv6 ?? SubnetChoice.ipv6(), hasIPv6: hasIPv6)
        guard let network else { throw NetworkError.invalidAddress(ipv4.description) }
        return network
    }

    /// The endpoint of a container that has one.
    public func endpoint(containerID: String) -> EndpointInfo? {
        endpoints[containerID]?.info
    }

    /// The networks with their endpoints, for `network ls` and `network inspect`. Empty before `prepare`.
    public func info() -> [NetworkInfo] {
        guard let prepared else { return [] }
        return [
            prepared.network.info(
                endpoints: endpoints.values.compactMap(\.info).sorted { $0.containerID < $1.containerID })
        ]
    }

    /// What went through a container's interface, as the container sees it; nil when it has none.
    public func counters(containerID: String) async throws -> LinkCounters? {
        guard let interface = endpoints[containerID]?.info?.hostInterface else { return nil }
        return try await host.run { try EndpointLink.counters(interface) }
    }
}
