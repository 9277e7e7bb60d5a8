import Linux
import Logging
import Store
import Synchronization

/// One network with its addresses and endpoints. Everything that happens on it goes through here; no other network waits.
actor Network {
    nonisolated let id: String
    nonisolated let name: String
    nonisolated let device: String
    let parts: Parts
    var definition: NetworkDefinition
    var pool4: AddressPool?
    var pool6: AddressPool?
    /// By container.
    var endpoints: [String: Endpoint] = [:] {
        didSet { parts.neighbours.note(endpoints.count, of: id) }
    }
    /// The last endpoints that had these addresses and have ended, of whose connections the kernel may still know.
    var former: [IPAddress: String] = [:]
    /// Network devices on their way out, by endpoint.
    var removals: [String: Task<Void, Never>] = [:]
    private var isRemoved = false
    /// On which of the network's bridges each endpoint is.
    var places: BridgePlaces
    /// A bridge that is on its way in or out.
    var segmentChange: Task<Void, any Error>?
    /// The devices of its further bridges, those that are being made included.
    nonisolated let segmentDevices = Mutex<Set<String>>([])

    /// What all networks of an engine share.
    struct Parts: Sendable {
        let database: Database
        let logger: Logger
        let host: Host
        let ports: PortClaims
        let firewall: FirewallTable
        let names: NameTable
        let neighbours = Neighbourhood()
        /// A bridge takes no more endpoints than that.
        let containersPerBridge: Int
    }

    /// A container's endpoint, or a claim to one that is being reserved.
    struct Endpoint {
        var ipv4: IPAddress?
        var ipv6: IPAddress?
        var info: EndpointInfo?
        /// Set while the endpoint is on its way out.
        var ending: Task<Void, Never>?
    }

    /// Throws when a subnet has no room for a gateway and a container.
    init(_ definition: NetworkDefinition, _ parts: Parts) throws {
        id = definition.id
        name = definition.name
        device = definition.device
        self.definition = definition
        self.parts = parts
        places = BridgePlaces(size: parts.containersPerBridge)
        (pool4, pool6) = try Self.pools(definition)
    }

    private static func pools(_ definition: NetworkDefinition) throws -> (AddressPool?, AddressPool?) {
        let pools = try [definition.ipv4, definition.ipv6].map { subnet -> AddressPool? in
            guard let subnet else { return nil }
            guard let pool = AddressPool(subnet) else {
                throw NetworkError.refused(.invalid, "subnet \(subnet.prefix) is too small for a network")
            }
            return pool
        }
        return (pools[0], pools[1])
    }

    /// What was found on the host.
    func update(_ found: NetworkDefinition) {
        definition.link = found.link
        definition.mtu = found.mtu
        definition.hardwareAddress = found.hardwareAddress
        definition.segments = found.segments
        segmentDevices.withLock { $0.formUnion(found.segments.map(\.device)) }
    }

    /// Takes note of an endpoint that the database names. False when its address is no address of this network.
    func restore(_ info: EndpointInfo) throws -> Bool {
        var endpoint = Endpoint(info: info)
        if let address = IPAddress(info.ipv4) {
            guard pool4?.take(address) == true else { return false }
            endpoint.ipv4 = address
        }
        if let address = IPAddress(info.ipv6), pool6?.take(address) == true { endpoint.ipv6 = address }
        try parts.ports.restore(info.ports, for: info.containerID, withIPv6: definition.ipv6 != nil)
        endpoints[info.containerID] = endpoint
        return true
    }

    /// The first step of removing the network: from then on it takes no endpoint. Docker's words when it has one.
    func beginRemoval() throws {
        guard endpoints.isEmpty else {
            let holders = endpoints.keys.sorted()
            throw NetworkInUse(network: name, containerIDs: holders, endpointIDs: holders.compactMap { endpoints[$0]?.info?.endpointID })
        }
        isRemoved = true
    }

    func checkPresent() throws {
        if isRemoved { throw NetworkError.refused(.notFound, "network \(name) not found") }
    }

    func endpoint(_ containerID: String) -> EndpointInfo? { endpoints[containerID]?.info }

    func infos() -> [EndpointInfo] {
        endpoints.values.compactMap(\.info).sorted { $0.containerID < $1.containerID }
    }

    /// For `network ls` and `network inspect`.
    func info() -> NetworkInfo { definition.info(endpoints: infos()) }

    /// Waits until devices on their way out are gone.
    func settle() async {
        for removal in removals.values { await removal.value }
    }
}

/// A network that somebody is on cannot be removed.
public struct NetworkInUse: Error, Sendable {
    public let network: String
    public let containerIDs: [String]
    public let endpointIDs: [String]
}
