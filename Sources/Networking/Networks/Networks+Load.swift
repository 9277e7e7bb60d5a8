import Linux
import Logging
import Store

extension Networks {
    /// What the database knows of networks and endpoints; chooses what has to be chosen for the default network. The
    /// endpoints.
    func load() async throws -> [EndpointInfo] {
        let records = try await database.networks.all()
        let endpointRecords = try await database.endpoints.all()
        for record in records where record.name != Self.defaultNetwork {
            do {
                if let configuration = try NetworkConfiguration(id: record.id, name: record.name, created: record.created, json: record.json) {
                    configurations[record.id] = configuration
                    continue
                }
                guard let definition = try NetworkDefinition(id: record.id, name: record.name, created: record.created, json: record.json)
                else { throw NetworkError.unexpected("its record cannot be understood") }
                claims[record.id] = definition
            } catch {
                // What cannot be read stays where it is.
                logger.error("a network cannot be read and is left alone", metadata: ["network": "\(record.name)", "error": "\(error)"])
            }
        }
        let known = records.first { $0.name == Self.defaultNetwork }
        let standard = try await chooseDefault(known, mayMove: !endpointRecords.contains { $0.networkID == known?.id })
        try await database.networks.save(
            id: standard.id, name: standard.name, created: standard.created, json: standard.json)
        claims[standard.id] = standard
        for (id, definition) in claims {
            var definition = definition
            definition.hasIPv6 = standard.hasIPv6
            claims[id] = definition
            networks[id] = try Network(definition, parts)
        }
        return try await restore(endpointRecords)
    }

    private func restore(_ records: [EndpointRecord]) async throws -> [EndpointInfo] {
        var infos: [EndpointInfo] = []
        for record in records {
            guard let network = networks[record.networkID],
                let info = try EndpointInfo(containerID: record.containerID, networkID: record.networkID, json: record.json),
                try await network.restore(info)
            else {
                logger.error(
                    "an endpoint in the database cannot be used", metadata: ["container": "\(record.containerID)"])
                continue
            }
            infos.append(info)
        }
        return infos
    }

    /// Keeps the subnets of a stored network, unless nobody needs them and somebody else has them.
    private func chooseDefault(_ record: NetworkRecord?, mayMove: Bool) async throws -> NetworkDefinition {
        let stored = try record.flatMap {
            try NetworkDefinition(id: $0.id, name: $0.name, created: $0.created, json: $0.json)
        }
        let device = configuration.bridgeName
        let facts = try await host.run { try HostRoutes.read(ownDevice: device) }
        var ipv4 = stored?.ipv4
        if let subnet = ipv4, mayMove, !SubnetChoice.isFree(subnet.prefix, routes: facts.routes, ownLink: facts.ownLink) { ipv4 = nil }
        if ipv4 == nil {
            let prefix = try SubnetChoice.ipv4(
                pool: configuration.ipv4Pool, others: claims.values.compactMap { $0.ipv4?.prefix }, routes: facts.routes,
                ownLink: facts.ownLink)
            ipv4 = Subnet(prefix)
        }
        var definition = NetworkDefinition(
            id: record?.id ?? randomID(), name: Self.defaultNetwork,
            created: record?.created ?? Timestamp.now().description, device: device, ipv4: ipv4,
            storedIPv6: stored?.storedIPv6 ?? SubnetChoice.ipv6().flatMap { Subnet($0) })
        definition.hasIPv6 = facts.hasIPv6
        return definition
    }
}
