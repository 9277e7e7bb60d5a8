import Linux
import OCI
import Store

/// A network that is none: what `--config-only` keeps, for others to be made of by `--config-from`.
struct NetworkConfiguration: Sendable {
    let id: String
    let name: String
    let created: String
    var wantsIPv4: Bool?
    var wantsIPv6: Bool?
    var labels: [String: String]
    var options: [String: String]
    var subnets: [NetworkInfo.Subnet]

    init(_ request: NetworkRequest) throws {
        guard !request.isInternal, !request.isAttachable else {
            throw NetworkError.refused(
                .forbidden,
                "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported."
            )
        }
        guard request.configuration.isEmpty else {
            throw NetworkError.refused(.forbidden, "a configuration network cannot depend on another configuration network")
        }
        try NetworkPlan.check(name: request.name)
        _ = try SubnetRequest.resolve(request.subnets)
        (id, name, created) = (randomID(), request.name, Timestamp.now().description)
        (wantsIPv4, wantsIPv6) = (request.wantsIPv4, request.wantsIPv6)
        (labels, options, subnets) = (request.labels, request.options, request.subnets)
    }

    /// What a network is made of that names this one: all that it does not say itself.
    func applied(to request: NetworkRequest) throws -> NetworkRequest {
        guard request.subnets.isEmpty, request.labels.isEmpty, request.wantsIPv6 != true, request.wantsIPv4 != false else {
            throw NetworkError.refused(
                .forbidden, "user specified configurations are not supported if the network depends on a configuration network")
        }
        guard request.options.isEmpty else {
            throw NetworkError.refused(
                .forbidden, "network driver options are not supported if the network depends on a configuration network")
        }
        var applied = request
        (applied.wantsIPv4, applied.wantsIPv6) = (wantsIPv4, wantsIPv6)
        (applied.labels, applied.options, applied.subnets) = (labels, options, subnets)
        return applied
    }

    var info: NetworkInfo {
        var info = NetworkInfo(
            id: id, name: name, driver: "null", device: "", created: created, subnets: subnets, hasIPv4: wantsIPv4 ?? true,
            hasIPv6: wantsIPv6 ?? false, isInternal: false, isAttachable: false, connectsContainers: true, masquerades: true, labels: labels,
            options: options, mtu: 0, endpoints: [])
        info.isConfiguration = true
        return info
    }

    // MARK: The database

    /// ```
    /// {"configOnly": true, "wantsIPv4": null, "wantsIPv6": true, "labels": {…}, "options": {…},
    ///  "subnets": [{"prefix": "…", "range": "…", "gateway": "…", "reserved": {…}}]}
    /// ```
    var json: [UInt8] {
        JSONValue.object([
            ("configOnly", .bool(true)), ("wantsIPv4", wantsIPv4.map { .bool($0) } ?? .null), ("wantsIPv6", wantsIPv6.map { .bool($0) } ?? .null),
            ("labels", NetworkDefinition.object(labels)), ("options", NetworkDefinition.object(options)),
            (
                "subnets",
                .array(
                    subnets.map {
                        .object([
                            ("prefix", .string($0.prefix)), ("range", .string($0.range)), ("gateway", .string($0.gateway)),
                            ("reserved", NetworkDefinition.object($0.reserved)),
                        ])
                    })
            ),
        ]).serialized()
    }

    /// Nil for what is a network.
    init?(id: String, name: String, created: String, json: [UInt8]) throws {
        let value = try JSONValue.parse(json)
        guard value["configOnly"]?.boolean == true else { return nil }
        (self.id, self.name, self.created) = (id, name, created)
        (wantsIPv4, wantsIPv6) = (value["wantsIPv4"]?.boolean, value["wantsIPv6"]?.boolean)
        (labels, options) = (NetworkDefinition.dictionary(value["labels"]), NetworkDefinition.dictionary(value["options"]))
        subnets = (value["subnets"]?.array ?? []).map {
            NetworkInfo.Subnet(
                $0["prefix"]?.string ?? "", range: $0["range"]?.string ?? "", gateway: $0["gateway"]?.string ?? "",
                reserved: NetworkDefinition.dictionary($0["reserved"]))
        }
    }
}

extension Networks {
    /// `network create --config-only`.
    func createConfiguration(_ request: NetworkRequest) async throws -> NetworkInfo {
        let configuration = try NetworkConfiguration(request)
        guard !isTaken(configuration.name) else {
            throw NetworkError.refused(.conflict, "network with name \(configuration.name) already exists")
        }
        configurations[configuration.id] = configuration
        do {
            try await database.networks.save(
                id: configuration.id, name: configuration.name, created: configuration.created, json: configuration.json)
        } catch {
            configurations[configuration.id] = nil
            throw error
        }
        return configuration.info
    }

    /// What of the request a configuration says, where it names one.
    func configured(_ request: NetworkRequest) throws -> NetworkRequest {
        if request.configuration.isEmpty { return request }
        guard let configuration = configurations.values.first(where: { $0.name == request.configuration }) else {
            throw NetworkError.refused(.notFound, "configuration network \"\(request.configuration)\" does not exist")
        }
        return try configuration.applied(to: request)
    }

    /// Nil where the name or id is none of a configuration: an id comes before a name, and a name before the beginning of an id,
    /// whichever of networks and configurations they belong to.
    func configuration(_ text: String) throws -> NetworkConfiguration? {
        if let found = configurations[text] { return found }
        if networks[text] != nil || networks.values.contains(where: { $0.name == text }) { return nil }
        if let found = configurations.values.first(where: { $0.name == text }) { return found }
        let matches = text.isEmpty ? [] : configurations.keys.filter { $0.hasPrefix(text) }
        guard let match = matches.first else { return nil }
        let count = matches.count + networks.keys.count { $0.hasPrefix(text) }
        guard count == 1 else {
            throw NetworkError.refused(.invalid, "network \(text) is ambiguous (\(count) matches found based on ID prefix)")
        }
        return configurations[match]
    }

    func removeConfiguration(_ configuration: NetworkConfiguration) async throws -> NetworkInfo {
        guard !claims.values.contains(where: { $0.configuration == configuration.name }) else {
            throw NetworkError.refused(.forbidden, "configuration network \"\(configuration.name)\" is in use")
        }
        configurations[configuration.id] = nil
        do {
            try await database.networks.delete(id: configuration.id)
        } catch {
            configurations[configuration.id] = configuration
            throw error
        }
        return configuration.info
    }

    func isTaken(_ name: String) -> Bool {
        claims.values.contains { $0.name == name } || configurations.values.contains { $0.name == name }
    }
}
