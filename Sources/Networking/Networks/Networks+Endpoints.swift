import Linux
import Logging
import Store

extension Networks {
    /// Chooses addresses and host ports, holds the ports and writes the endpoint to the database.
    public func reserve(_ request: EndpointRequest) async throws -> EndpointInfo {
        try await prepareOnce()
        return try await network(request.networkID).reserve(request)
    }

    /// The same in the default network.
    public func reserve(
        containerID: String, ports: [PublishedPort], macAddress: String? = nil
    ) async throws -> EndpointInfo {
        try await prepareOnce()
        var request = EndpointRequest(containerID: containerID, networkID: try network(Self.defaultNetwork).id)
        request.ports = ports
        request.macAddress = macAddress ?? ""
        return try await reserve(request)
    }

    /// Gives the network namespace of `pid` its device, addresses and routes, then opens the published ports.
    /// When it throws, the caller calls `disconnect`. The pid must not have been reaped before this returns.
    public func connect(_ endpoint: EndpointInfo, pid: Int32) async throws {
        let namespace = try await host.run { SharedFD(try NetworkNamespace.open(pid: pid)) }
        try await connect(endpoint, namespace: namespace)
    }

    func connect(_ endpoint: EndpointInfo, namespace: SharedFD) async throws {
        try await network(endpoint.networkID).connect(endpoint, namespace: namespace)
    }

    /// Answers the container's questions about names from now on, at 127.0.0.11: those of containers on its networks, and
    /// `links` (other names for them, by the name that it uses); everything else is asked of `servers`, or of the host's
    /// when that is empty. After `connect`; called again it replaces what was there, as after a restart of the engine.
    public func serveNames(containerID: String, pid: Int32, servers: [String] = [], links: [String: String] = [:]) async throws {
        let namespace = try await host.run { SharedFD(try NetworkNamespace.open(pid: pid)) }
        try await serveNames(containerID: containerID, namespace: namespace, servers: servers, links: links)
    }

    func serveNames(
        containerID: String, namespace: SharedFD, servers: [String] = [], links: [String: String] = [:]
    ) async throws {
        let links = Dictionary(links.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { _, last in last })
        parts.names.setView(NameTable.View(links: links, servers: servers), of: containerID)
        for endpoint in await endpoints(containerID: containerID) { parts.names.add(endpoint) }
        let sockets = try await host.onOwnThread {
            try NetworkNamespace.enter(namespace.raw)
            return try NameSockets.open()
        }
        try names.add(sockets, for: containerID)
    }

    /// Gives a container that runs other names on a network.
    public func setNames(_ names: [String], containerID: String, networkID: String) async throws {
        try await networks[networkID]?.setNames(names, of: containerID)
    }

    /// Ends all endpoints of a container: closes ports, removes devices. Not an error when there is none.
    public func disconnect(containerID: String) async {
        names.remove(containerID)
        parts.names.setView(nil, of: containerID)
        for network in networks.values { await network.disconnect(containerID) }
    }

    /// Takes a container that goes on out of a network.
    public func disconnect(containerID: String, networkID: String, pid: Int32?) async {
        guard let network = networks[networkID] else { return }
        if let pid, let endpoint = await network.endpoint(containerID), endpoint.hostInterface.isEmpty {
            await removeInside(endpoint, await network.definition, pid)
        }
        await network.disconnect(containerID)
        // What follows, as a new connection of the same device name, must not meet the old one.
        await network.settle()
    }

    private func removeInside(_ endpoint: EndpointInfo, _ definition: NetworkDefinition, _ pid: Int32) async {
        do {
            try await host.onOwnThread {
                let namespace = try NetworkNamespace.open(pid: pid)
                try NetworkNamespace.enter(namespace.raw)
                try EndpointLink(endpoint: endpoint, network: definition).removeInside()
            }
        } catch {
            logger.warning("a device could not be taken out of a container", metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
        }
    }

    /// Publishes more ports of a running container and takes others back, all or nothing. They belong to the network that its
    /// default route leads to. The endpoint as it is then.
    public func changePorts(containerID: String, adding added: [PublishedPort], removing removed: [PublishedPort]) async throws -> EndpointInfo {
        guard let endpoint = await endpoints(containerID: containerID).first(where: { $0.isGateway && !$0.isInternal }),
            let network = networks[endpoint.networkID]
        else { throw NetworkError.refused(.forbidden, "the container is on no network that publishes ports") }
        return try await network.changePorts(containerID, adding: added, removing: removed)
    }

    /// Changes the limits of rate of a running container, in bytes per second, on each of its networks; 0 is no limit. The
    /// endpoints as they are then.
    public func setRates(containerID: String, receiving: Int64, sending: Int64) async throws -> [EndpointInfo] {
        var changed: [EndpointInfo] = []
        for endpoint in await endpoints(containerID: containerID) {
            guard let network = networks[endpoint.networkID] else { continue }
            changed.append(try await network.setRates(receiving: receiving, sending: sending, of: containerID))
        }
        return changed
    }

    /// After a restart of the engine: holds the ports of the running containers again, puts back what somebody removed
    /// meanwhile, removes what is left of all other containers.
    public func reconcile(running: Set<String>) async {
        do {
            try await prepare()
            try await startWatching()
        } catch {
            logger.error("the network could not be repaired", metadata: ["error": "\(error)"])
        }
        for network in networks.values {
            // After that, since the first look at the database tells which endpoints there are.
            for endpoint in await network.infos() {
                guard running.contains(endpoint.containerID) else {
                    await network.disconnect(endpoint.containerID)
                    continue
                }
                await retake(endpoint, withIPv6: await network.definition.ipv6 != nil)
                do {
                    try await network.reapplyRates(endpoint)
                } catch {
                    logger.error("limits of rate are not set", metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
                }
            }
        }
    }

    private func retake(_ endpoint: EndpointInfo, withIPv6: Bool) async {
        if endpoint.ports.isEmpty { return }
        do {
            for failure in try await parts.ports.retake(endpoint.ports, for: endpoint.containerID, withIPv6: withIPv6) {
                logger.warning(
                    "a published port could not be held again",
                    metadata: ["container": "\(endpoint.containerID)", "error": "\(failure)"])
            }
        } catch {
            logger.error("published ports could not be held again", metadata: ["error": "\(error)"])
        }
    }

    /// Removes all endpoints, devices and the firewall table. Networks and their subnets stay in the database.
    public func remove() async throws {
        stopWatching()
        for network in networks.values {
            for endpoint in await network.infos() { await network.disconnect(endpoint.containerID) }
            await network.settle()
            let definition = await network.definition
            try await host.run { try NetworkDevice.remove(definition) }
        }
        names.stop()
        try await host.run { [firewall = parts.firewall, configuration] in
            firewall.setLoop(nil)
            try firewall.uninstall()
            firewall.letGo()
            try InputLoop.remove(table: configuration.nftTable)
        }
    }
}
