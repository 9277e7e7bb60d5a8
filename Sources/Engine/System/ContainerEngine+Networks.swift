public import DockerAPI
import Networking

extension ContainerEngine {
    public func listNetworks(_ filters: Filters) async throws -> [NetworkInspect] {
        try filters.check(["name", "id", "driver", "type", "scope", "label", "dangling"])
        return await networks().filter { network in
            filters.any("name") { (network.Name ?? "").contains($0) } && filters.any("id") { (network.Id ?? "").hasPrefix($0) }
                && filters.any("driver") { $0 == network.Driver } && filters.any("scope") { $0 == "local" }
                && filters.any("type") { $0 == "builtin" } && filters["label"].isEmpty
                && filters.any("dangling") { !["true", "1"].contains($0) }
        }
    }

    public func inspectNetwork(_ name: String) async throws -> NetworkInspect {
        let networks = await networks()
        guard
            let found = networks.first(where: { $0.Name == name || $0.Id == name })
                ?? networks.first(where: { name.count >= 4 && ($0.Id ?? "").hasPrefix(name) })
        else { throw EngineError(.notFound, "network \(name) not found") }
        return found
    }

    private func networks() async -> [NetworkInspect] {
        var all: [NetworkInspect] = []
        for network in await context.networks.info() { all.append(await inspect(network)) }
        all.append(Self.builtIn("host", driver: "host", id: identity))
        all.append(Self.builtIn("none", driver: "null", id: String(identity.reversed())))
        return all
    }

    private func inspect(_ network: NetworkInfo) async -> NetworkInspect {
        var shown = Self.empty()
        shown.Name = network.name
        shown.Id = network.id
        shown.Created = network.created
        shown.Driver = "bridge"
        shown.EnableIPv6 = !network.ipv6Subnet.isEmpty
        var ipam = IPAM()
        ipam.Driver = "default"
        ipam.Config = [(network.ipv4Subnet, network.ipv4Gateway), (network.ipv6Subnet, network.ipv6Gateway)]
            .filter { !$0.0.isEmpty }
            .map {
                var config = IPAMConfig()
                config.Subnet = $0.0
                config.Gateway = $0.1
                return config
            }
        shown.IPAM = ipam
        shown.Options = [
            "com.docker.network.bridge.default_bridge": "true", "com.docker.network.bridge.name": network.bridgeName,
            "com.docker.network.driver.mtu": "\(network.mtu)",
        ]
        var containers: [String: NetworkContainer] = [:]
        for endpoint in network.endpoints {
            guard let container = try? await registry.find(endpoint.containerID) else { continue }  // A build's step has no name.
            var entry = NetworkContainer()
            entry.Name = await container.record.name
            entry.EndpointID = endpoint.endpointID
            entry.MacAddress = endpoint.macAddress
            entry.IPv4Address = "\(endpoint.ipv4)/\(endpoint.ipv4PrefixLength)"
            entry.IPv6Address = endpoint.ipv6.isEmpty ? "" : "\(endpoint.ipv6)/\(endpoint.ipv6PrefixLength)"
            containers[endpoint.containerID] = entry
        }
        shown.Containers = containers
        return shown
    }

    private static func empty() -> NetworkInspect {
        var shown = NetworkInspect()
        shown.Scope = "local"
        shown.EnableIPv4 = true
        shown.EnableIPv6 = false
        shown.Internal = false
        shown.Attachable = false
        shown.Ingress = false
        shown.ConfigOnly = false
        var from = ConfigReference()
        from.Network = ""
        shown.ConfigFrom = from
        shown.Containers = [:]
        shown.Options = [:]
        shown.Labels = [:]
        return shown
    }

    private static func builtIn(_ name: String, driver: String, id: String) -> NetworkInspect {
        var shown = empty()
        shown.Name = name
        shown.Id = id
        shown.Created = SavedState.never
        shown.Driver = driver
        var ipam = IPAM()
        ipam.Driver = "default"
        ipam.Config = []
        shown.IPAM = ipam
        return shown
    }
}
