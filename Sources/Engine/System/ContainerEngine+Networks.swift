public import DockerAPI
import Linux
import Networking

extension ContainerEngine {
    public func listNetworks(_ filters: Filters) async throws -> [NetworkInspect] {
        try filters.check(["name", "id", "driver", "type", "scope", "label", "dangling"])
        for kind in filters["type"] where !["builtin", "custom"].contains(kind) {
            throw EngineError(.invalidArgument, "invalid filter: 'type'='\(kind)'")
        }
        for value in filters["dangling"] where !["true", "1", "false", "0"].contains(value) {
            throw EngineError(.invalidArgument, "invalid filter 'dangling=[\(value)]'")
        }
        let used = await filters["dangling"].isEmpty ? [] : usedNetworks()
        return await networkViews(withContainers: false).filter { network in
            let isBuiltIn = NetworkPrune.builtIn.contains(network.Name ?? "")
            let isDangling = !isBuiltIn && !used.contains(network.Id ?? "")
            return filters.any("name") { (network.Name ?? "").contains($0) } && filters.any("id") { (network.Id ?? "").hasPrefix($0) }
                && filters.any("driver") { $0 == network.Driver } && filters.any("scope") { $0 == "local" }
                && filters.any("type") { ($0 == "builtin") == isBuiltIn }
                && filters.any("dangling") { ["true", "1"].contains($0) == isDangling }
                && filters.matches(labels: network.Labels ?? [:])
        }
    }

    public func inspectNetwork(_ name: String, scope: String = "") async throws -> NetworkInspect {
        let networks = await scope.isEmpty || scope == "local" ? networkViews(withContainers: true) : []
        if let found = networks.first(where: { $0.Id == name }) ?? networks.first(where: { $0.Name == name }) { return found }
        let matches = name.isEmpty ? [] : networks.filter { ($0.Id ?? "").hasPrefix(name) }
        guard matches.count <= 1 else {
            throw EngineError(.invalidArgument, "network \(name) is ambiguous (\(matches.count) matches found based on ID prefix)")
        }
        guard let found = matches.first else { throw EngineError(.notFound, "network \(name) not found") }
        return found
    }

    public func createNetwork(_ request: NetworkCreateRequest) async throws -> NetworkCreateResponse {
        let wanted = try NetworkCreation(request: request).make()
        let network = try await ownedNetwork { try await $0.create(wanted) }
        events.publish("network", "create", id: network.id, attributes: ["name": network.name, "type": network.driver])
        var response = NetworkCreateResponse()
        response.Id = network.id
        response.Warning = ""
        return response
    }

    public func removeNetwork(_ name: String) async throws {
        let shown = try await inspectNetwork(name)
        if NetworkPrune.builtIn.contains(shown.Name ?? "") {
            throw EngineError(.forbidden, "\(shown.Name ?? "") is a pre-defined network and cannot be removed")
        }
        do {
            let network = try await ownedNetwork { try await $0.remove(shown.Id ?? name) }
            events.publish("network", "destroy", id: network.id, attributes: ["name": network.name, "type": network.driver])
        } catch let error as NetworkInUse {
            throw EngineError(.forbidden, "error while removing network: network \(error.network) has active endpoints (\(await holders(error)))")
        }
    }

    private func holders(_ error: NetworkInUse) async -> String {
        var texts: [String] = []
        for (container, endpoint) in zip(error.containerIDs, error.endpointIDs) {
            // A build's step has no name.
            let name = await (try? registry.find(container))?.record.name ?? shortID(container)
            texts.append("name:\"\(name)\" id:\"\(shortID(endpoint))\"")
        }
        return texts.joined(separator: ", ")
    }

    /// Removes networks that no container belongs to, running or not.
    public func pruneNetworks(_ filters: Filters) async throws -> NetworksPruneResponse {
        try filters.check(["until", "label", "label!"])
        let until = try filters["until"].map { try NetworkPrune.moment($0) }.min()
        let used = await usedNetworks()
        var removed: [String] = []
        for network in await networkViews(withContainers: false) {
            guard let id = network.Id, let name = network.Name, !NetworkPrune.builtIn.contains(name), !used.contains(id), network.ConfigOnly != true,
                filters.matches(labels: network.Labels ?? [:])
            else { continue }
            if let until, let created = Timestamp(rfc3339: network.Created ?? ""), created.seconds >= until { continue }
            do {
                try await removeNetwork(id)
                removed.append(name)
            } catch let error as EngineError where error.kind == .forbidden || error.kind == .notFound {
                continue  // Taken into use, or removed, meanwhile.
            }
        }
        var response = NetworksPruneResponse()
        response.NetworksDeleted = removed
        events.publish("network", "prune", id: "", attributes: ["reclaimed": "0"])
        return response
    }

    public func connectNetwork(_ name: String, _ request: NetworkConnectRequest) async throws {
        let shown = try await inspectNetwork(name)
        let container = try await registry.find(request.Container ?? "")
        if let builtIn = shown.Name, builtIn == "host" || builtIn == "none" {
            throw EngineError(
                .forbidden,
                builtIn == "host"
                    ? "container cannot be connected to host network or disconnected from it"
                    : "container cannot be connected to multiple networks with one of the networks in private (none) mode")
        }
        let resolution = NetworkResolution(networks: context.networks, registry: registry)
        let attachment = try await resolution.attachment(shown.Id ?? name, request.EndpointConfig ?? EndpointSettings())
        try await resolution.check(attachment)
        try await owned { try await container.connect(attachment) }
    }

    public func disconnectNetwork(_ name: String, _ request: NetworkDisconnectRequest) async throws {
        let container: Container
        let shown: NetworkInspect
        do {
            shown = try await inspectNetwork(name)
            container = try await registry.find(request.Container ?? "")
        } catch let error as EngineError where error.kind == .notFound && request.Force == true {
            return  // By force: nothing is left to disconnect.
        }
        if shown.Name == "host" { throw EngineError(.forbidden, "container cannot be connected to host network or disconnected from it") }
        try await owned { try await container.disconnect(networkID: shown.Id ?? "", name: shown.Name ?? name) }
    }

    private func ownedNetwork<T: Sendable>(_ work: @escaping @Sendable (Networks) async throws -> T) async throws -> T {
        let networks = context.networks
        return try await owned { try await work(networks) }
    }

    /// Networks that a container belongs to, whether it runs or not.
    private func usedNetworks() async -> Set<String> {
        var used: Set<String> = []
        for container in await registry.all() { used.formUnion(await container.record.attachments.map(\.networkID)) }
        return used
    }

    private func networkViews(withContainers: Bool) async -> [NetworkInspect] {
        var all: [NetworkInspect] = []
        for network in await context.networks.info() {
            var shown = NetworkInspect(network)
            if withContainers { shown.Containers = await containers(of: network) }
            all.append(shown)
        }
        all.append(NetworkInspect(builtIn: "host", driver: "host", id: identity))
        all.append(NetworkInspect(builtIn: "none", driver: "null", id: String(identity.reversed())))
        return all
    }

    private func containers(of network: NetworkInfo) async -> [String: NetworkContainer] {
        var containers: [String: NetworkContainer] = [:]
        for endpoint in network.endpoints {
            guard let container = try? await registry.find(endpoint.containerID) else { continue }  // A build's step has no name.
            var entry = NetworkContainer()
            entry.Name = await container.record.name
            entry.EndpointID = endpoint.endpointID
            entry.MacAddress = endpoint.macAddress
            entry.IPv4Address = endpoint.ipv4.isEmpty ? "" : "\(endpoint.ipv4)/\(endpoint.ipv4PrefixLength)"
            entry.IPv6Address = endpoint.ipv6.isEmpty ? "" : "\(endpoint.ipv6)/\(endpoint.ipv6PrefixLength)"
            containers[endpoint.containerID] = entry
        }
        return containers
    }
}
