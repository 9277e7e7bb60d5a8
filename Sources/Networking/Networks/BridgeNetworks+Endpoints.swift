import Linux
import Logging
import Store

extension BridgeNetworks {
    /// Chooses addresses and host ports, holds the ports and writes the endpoint to the database. Nothing on the host
    /// changes but the ports held. Throws `NetworkError` with Docker's texts for ports that are taken.
    public func reserve(
        containerID: String, ports: [PublishedPort], macAddress: String? = nil
    ) async throws -> EndpointInfo {
        if prepared == nil { try await prepare() }
        guard endpoints[containerID] == nil else { throw NetworkError.alreadyConnected(containerID: containerID) }
        let address = try claim(containerID, ports)
        do {
            return try await reserve(containerID, address, ports, macAddress)
        } catch {
            endpoints[containerID] = nil
            prepared?.addresses.release(address)
            throw error
        }
    }

    /// Everything that needs no waiting, so that nobody else gets the same.
    private func claim(_ containerID: String, _ ports: [PublishedPort]) throws -> IPAddress {
        var bindings: [HostBinding] = []
        let others = endpoints.values.flatMap(\.bindings)
        for port in ports where port.hostPort != 0 {
            for binding in try HostBinding.all(of: port, withIPv6: prepared?.network.ipv6 != nil) {
                if (others + bindings).contains(where: binding.conflicts) {
                    throw NetworkError.portAllocated(address: binding.address.description, port: binding.port)
                }
                bindings.append(binding)
            }
        }
        guard let address = prepared?.addresses.take() else {
            throw NetworkError.noFreeAddress(network: Self.defaultNetwork)
        }
        endpoints[containerID] = Endpoint(address: address, bindings: bindings)
        return address
    }

    private func reserve(
        _ containerID: String, _ address: IPAddress, _ ports: [PublishedPort], _ macAddress: String?
    ) async throws -> EndpointInfo {
        guard let network = prepared?.network else { throw NetworkError.notReserved(containerID: containerID) }
        let hardwareAddress = macAddress.flatMap { $0.isEmpty ? nil : $0 }
        if let hardwareAddress, HardwareAddress.parse(hardwareAddress) == nil {
            throw NetworkError.invalidAddress(hardwareAddress)
        }
        let claimed = endpoints.filter { $0.key != containerID }.values.flatMap(\.bindings)
        let held = try await host.run {
            try HeldPorts.take(ports, withIPv6: network.ipv6 != nil) { binding in
                !claimed.contains(where: binding.conflicts)
            }
        }
        let endpointID = randomID()
        let ipv6 = network.ipv6?.address(endingLike: address)
        let info = EndpointInfo(
            containerID: containerID, networkName: network.name, networkID: network.id, endpointID: endpointID,
            ipv4: address.description, ipv4PrefixLength: network.ipv4.length,
            ipv4Gateway: network.ipv4Gateway.description, ipv6: ipv6?.description ?? "",
            ipv6PrefixLength: ipv6 == nil ? 0 : network.ipv6?.length ?? 0,
            ipv6Gateway: network.ipv6Gateway?.description ?? "",
            macAddress: hardwareAddress ?? HardwareAddress.text(HardwareAddress.bytes(for: address)),
            ports: held.ports, hostInterface: EndpointLink.hostInterface(endpointID: endpointID))
        endpoints[containerID]?.bindings = try held.ports.flatMap {
            try HostBinding.all(of: $0, withIPv6: network.ipv6 != nil)
        }
        try await database.endpoints.save(
            EndpointRecord(
                containerID: containerID, networkID: network.id, ipv4: info.ipv4, ipv6: ipv6?.description,
                mac: info.macAddress, json: info.json))
        endpoints[containerID]?.ports = held
        endpoints[containerID]?.info = info
        return info
    }

    /// Gives the network namespace of `pid` its interface `eth0`, addresses and routes, then opens the published ports.
    /// When it throws, the caller calls `disconnect`. The pid must not have been reaped before this returns.
    public func connect(_ endpoint: EndpointInfo, pid: Int32) async throws {
        let namespace = try await host.run { SharedFD(try NetworkNamespace.open(pid: pid)) }
        try await connect(endpoint, namespace: namespace)
    }

    func connect(_ endpoint: EndpointInfo, namespace: SharedFD) async throws {
        guard let prepared, isCurrent(endpoint) else {
            throw NetworkError.notReserved(containerID: endpoint.containerID)
        }
        let link = EndpointLink(endpoint: endpoint, network: prepared.network)
        try await host.onOwnThread { [firewall = prepared.firewall] in
            let home = try NetworkNamespace.current()
            guard try !NetworkNamespace.areSame(home.raw, namespace.raw) else {
                throw NetworkError.unexpected("container \(endpoint.containerID) has no network namespace of its own")
            }
            try link.connect(namespace: namespace.raw)
            try NetworkNamespace.enter(home.raw)
            try firewall.open(endpoint)
        }
        await forgetConnections(endpoint)
        // Disconnected meanwhile: whatever came too late for that has to go as well.
        if !isCurrent(endpoint) {
            await closePorts(endpoint, prepared.firewall)
            await removeLink(endpoint)
            throw NetworkError.notReserved(containerID: endpoint.containerID)
        }
    }

    private func isCurrent(_ endpoint: EndpointInfo) -> Bool {
        guard let known = endpoints[endpoint.containerID] else { return false }
        return known.info?.endpointID == endpoint.endpointID && known.ending == nil
    }

    /// Closes the published ports, removes the interface and forgets the endpoint. Not an error when there is none.
    public func disconnect(containerID: String) async {
        guard let endpoint = endpoints[containerID], let info = endpoint.info, let prepared else { return }
        if let ending = endpoint.ending { return await ending.value }
        let task = Task { await end(info, endpoint.address, prepared.firewall) }
        endpoints[containerID]?.ending = task
        await task.value
    }

    private func end(_ endpoint: EndpointInfo, _ address: IPAddress, _ firewall: FirewallTable) async {
        await closePorts(endpoint, firewall)
        do {
            try await database.endpoints.delete(containerID: endpoint.containerID, networkID: endpoint.networkID)
        } catch {
            logger.error(
                "an endpoint could not be deleted",
                metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
        }
        endpoints[endpoint.containerID] = nil
        // The kernel takes its time for a device, which nobody has to wait for; the address is not given out before.
        removals[endpoint.endpointID] = Task {
            await removeLink(endpoint)
            prepared?.addresses.release(address)
            removals[endpoint.endpointID] = nil
        }
    }

    private func closePorts(_ endpoint: EndpointInfo, _ firewall: FirewallTable) async {
        if endpoint.ports.isEmpty { return }
        await attempt("published ports could not be closed", endpoint) {
            try firewall.close(containerID: endpoint.containerID)
        }
        await forgetConnections(endpoint)
    }

    /// A UDP client that goes on sending would be led to where its first packet went, for as long as it sends.
    private func forgetConnections(_ endpoint: EndpointInfo) async {
        let ports = Set(endpoint.ports.filter { $0.proto == .udp }.map(\.hostPort))
        if ports.isEmpty { return }
        await attempt("old UDP connections could not be forgotten", endpoint) {
            try ConnectionTracking.forgetUDP(toOwnPorts: ports)
        }
    }

    private func removeLink(_ endpoint: EndpointInfo) async {
        await attempt("a network device could not be removed", endpoint) {
            try EndpointLink.disconnect(endpoint.hostInterface)
        }
    }

    /// Does something whose failure must not keep the rest from being done.
    private func attempt(
        _ failure: Logger.Message, _ endpoint: EndpointInfo, _ body: @escaping @Sendable () throws -> Void
    ) async {
        do {
            try await host.run(body)
        } catch {
            logger.error(failure, metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
        }
    }

    /// After a restart of the engine: holds the ports of the running containers again, puts back what somebody removed
    /// meanwhile, removes what is left of all other containers.
    public func reconcile(running: Set<String>) async {
        do {
            try await prepare()
        } catch {
            logger.error("the network could not be repaired", metadata: ["error": "\(error)"])
        }
        // After that, since the first look at the database tells which endpoints there are.
        for containerID in endpoints.keys where !running.contains(containerID) {
            await disconnect(containerID: containerID)
        }
        let withIPv6 = prepared?.network.ipv6 != nil
        for (containerID, endpoint) in endpoints where endpoint.ports == nil {
            guard let info = endpoint.info else { continue }
            do {
                let (ports, failures) = try await host.run { HeldPorts.retake(info.ports, withIPv6: withIPv6) }
                endpoints[containerID]?.ports = ports
                for failure in failures {
                    logger.warning(
                        "a published port could not be held again",
                        metadata: ["container": "\(containerID)", "error": "\(failure)"])
                }
            } catch {
                logger.error("published ports could not be held again", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Removes all endpoints, the bridge and the firewall table. The chosen subnets stay in the database.
    public func remove() async throws {
        for containerID in endpoints.keys { await disconnect(containerID: containerID) }
        for removal in removals.values { await removal.value }
        guard let prepared else { return }
        self.prepared = nil
        try await host.run {
            try BridgeDevice.remove(prepared.network.bridgeName)
            try prepared.firewall.uninstall()
        }
    }
}
