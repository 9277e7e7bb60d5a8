import Linux
import Logging
import Store

extension Network {
    /// Chooses addresses and host ports, holds the ports and writes the endpoint to the database. Nothing on the host
    /// changes but the ports held. Throws `NetworkError` with Docker's texts for what is taken.
    func reserve(_ request: EndpointRequest) async throws -> EndpointInfo {
        // A container that starts again may want the address that it has only just given back.
        if !request.ipv4.isEmpty || !request.ipv6.isEmpty { await settle() }
        try checkPresent()
        let containerID = request.containerID
        guard endpoints[containerID] == nil else { throw NetworkError.alreadyConnected(containerID: containerID) }
        let claimed = try claim(request)
        endpoints[containerID] = claimed
        do {
            return try await finishReserving(request, claimed)
        } catch {
            endpoints[containerID] = nil
            release(claimed)
            throw error
        }
    }

    /// Everything that needs no waiting, so that nobody else gets the same.
    private func claim(_ request: EndpointRequest) throws -> Endpoint {
        var endpoint = Endpoint()
        do {
            if definition.ipv4 != nil {
                endpoint.ipv4 = try choose(request.ipv4, from: &pool4)
            } else if !request.ipv4.isEmpty {
                throw Self.outside(request.ipv4)
            }
            if request.options.turnsIPv6Off {
                guard request.ipv6.isEmpty, definition.ipv4 != nil else {
                    throw NetworkError.refused(
                        .invalid,
                        "invalid endpoint settings:\nIPv6 cannot be turned off: network \(name) gives no other address, or one of IPv6 is asked for")
                }
            } else if let subnet = definition.ipv6 {
                let twin = endpoint.ipv4.flatMap { subnet.prefix.length <= 96 ? subnet.prefix.address(endingLike: $0) : nil }
                if request.ipv6.isEmpty, let twin, pool6?.gives(twin) == true, pool6?.take(twin) == true {
                    endpoint.ipv6 = twin
                } else {
                    endpoint.ipv6 = try choose(request.ipv6, from: &pool6)
                }
            } else if !request.ipv6.isEmpty {
                throw Self.outside(request.ipv6)
            }
            return endpoint
        } catch {
            release(endpoint)
            throw error
        }
    }

    private func choose(_ wanted: String, from pool: inout AddressPool?) throws -> IPAddress {
        if wanted.isEmpty {
            guard let address = pool?.take() else { throw NetworkError.noFreeAddress(network: name) }
            return address
        }
        guard let address = IPAddress(wanted) else { throw NetworkError.refused(.invalid, "invalid IP address: \(wanted)") }
        guard pool?.contains(address) == true else { throw Self.outside(wanted) }
        guard pool?.take(address) == true else { throw NetworkError.addressInUse }
        return address
    }

    private static func outside(_ address: String) -> NetworkError {
        .refused(.invalid, "invalid endpoint settings:\nno configured subnet contains IP address \(address)")
    }

    private func release(_ endpoint: Endpoint) {
        if let address = endpoint.ipv4 { pool4?.release(address) }
        if let address = endpoint.ipv6 { pool6?.release(address) }
    }

    private func finishReserving(_ request: EndpointRequest, _ claimed: Endpoint) async throws -> EndpointInfo {
        var info = try describe(request, claimed)
        // An internal network publishes nothing.
        let ports = try publishesPorts ? request.ports.flatMap(publishable) : []
        if publishesPorts { info.openPorts = openPorts(request.ports) }
        info.ports = try await parts.ports.take(ports, for: request.containerID, withIPv6: definition.ipv6 != nil)
        do {
            try await parts.database.endpoints.save(info.record)
        } catch {
            if !ports.isEmpty { parts.ports.release(request.containerID) }
            throw error
        }
        endpoints[request.containerID]?.info = info
        return info
    }

    private func describe(_ request: EndpointRequest, _ claimed: Endpoint) throws -> EndpointInfo {
        let endpointID = randomID()
        var info = EndpointInfo(
            containerID: request.containerID, networkName: name, networkID: id, endpointID: endpointID)
        if let address = claimed.ipv4, let subnet = definition.ipv4 {
            info.ipv4 = address.description
            info.ipv4PrefixLength = subnet.prefix.length
            info.ipv4Gateway = definition.settings.gatewayMode(.v4) == .isolated ? "" : subnet.gateway.description
        }
        if let address = claimed.ipv6, let subnet = definition.ipv6 {
            info.ipv6 = address.description
            info.ipv6PrefixLength = subnet.prefix.length
            info.ipv6Gateway = definition.settings.gatewayMode(.v6) == .isolated ? "" : subnet.gateway.description
        }
        if !request.macAddress.isEmpty {
            guard let wanted = HardwareAddress.parse(request.macAddress) else { throw NetworkError.invalidAddress(request.macAddress) }
            // What is for the gateway would go to the container.
            guard !definition.isBridge || wanted != definition.hardwareAddress else {
                throw NetworkError.refused(
                    .invalid, "invalid endpoint settings:\nhardware address \(request.macAddress) is that of the gateway of network \(name)")
            }
            info.macAddress = request.macAddress.lowercased()
        } else if let address = claimed.ipv4 ?? claimed.ipv6, !definition.settings.sharesHardwareAddress {
            info.macAddress = HardwareAddress.text(HardwareAddress.bytes(for: address))
        }
        if definition.isBridge { info.hostInterface = EndpointLink.hostInterface(endpointID: endpointID) }
        info.interface = try interface(request)
        for text in request.linkLocalAddresses where definition.isBridge && IPAddress(text) == BridgeDevice.linkLocal?.address {
            throw NetworkError.refused(.invalid, "invalid endpoint settings:\nlink-local address \(text) is that of the gateway of network \(name)")
        }
        if !request.linkLocalAddresses.isEmpty { info.linkLocalAddresses = request.linkLocalAddresses }
        if !request.options.settings.isEmpty { info.deviceSettings = request.options.settings }
        info.isGateway = request.isGateway
        info.isInternal = definition.isInternal
        info.names = request.names
        info.driver = definition.driver.rawValue
        info.setRates(receiving: request.receivingRate, sending: request.sendingRate)
        guard !info.isLimited || definition.isBridge else { throw unlimited }
        return info
    }

    /// The device's name in the container: before anything is made, since what is made under it would be another device.
    private func interface(_ request: EndpointRequest) throws -> String {
        let wanted = request.options.interfaceName
        if !wanted.isEmpty {
            guard !request.takenInterfaces.contains(wanted) else {
                throw NetworkError.refused(
                    .conflict, "invalid endpoint settings:\ninterface name \(wanted) is that of another network's device in the container")
            }
            return wanted
        }
        let prefix = definition.settings.interfacePrefix
        var number = request.interfaceNumber
        while request.takenInterfaces.contains("\(prefix)\(number)") { number += 1 }
        return "\(prefix)\(number)"
    }

    /// Writes down what has changed of an endpoint; one that has ended meanwhile stays forgotten.
    func saveChange(_ info: EndpointInfo) async throws { try await parts.database.endpoints.update([info.record]) }

    /// Gives the network namespace its device with addresses and routes, then opens the published ports. When it throws,
    /// the caller calls `disconnect`.
    func connect(_ endpoint: EndpointInfo, namespace: SharedFD) async throws {
        guard isCurrent(endpoint) else { throw NetworkError.notReserved(containerID: endpoint.containerID) }
        await makeRoomForNeighbours()
        await forgetPredecessors(of: endpoint)
        let bridge = try await bridge(of: endpoint)
        let link = EndpointLink(endpoint: endpoint, network: definition, bridge: bridge)
        try await parts.host.onOwnThread { [firewall = parts.firewall] in
            let home = try NetworkNamespace.current()
            guard try !NetworkNamespace.areSame(home.raw, namespace.raw) else {
                throw NetworkError.unexpected("container \(endpoint.containerID) has no network namespace of its own")
            }
            try link.connect(namespace: namespace.raw)
            try NetworkNamespace.enter(home.raw)
            try firewall.open(endpoint)
        }
        parts.names.add(endpoint)
        await forgetConnections(endpoint)
        // Disconnected meanwhile: whatever came too late for that has to go as well.
        if !isCurrent(endpoint) {
            parts.names.remove(endpoint)
            await closePorts(endpoint)
            await removeLink(endpoint)
            places.release(endpoint.hostInterface)
            throw NetworkError.notReserved(containerID: endpoint.containerID)
        }
    }

    func isCurrent(_ endpoint: EndpointInfo) -> Bool {
        guard let known = endpoints[endpoint.containerID] else { return false }
        return known.info?.endpointID == endpoint.endpointID && known.ending == nil
    }

    /// Publishes more ports of a running container and takes others back, all or nothing. Connections that are there go on;
    /// UDP has none, so the next packet counts. The endpoint as it is then.
    func changePorts(_ containerID: String, adding added: [PublishedPort], removing removed: [PublishedPort]) async throws -> EndpointInfo {
        guard var info = endpoints[containerID]?.info, endpoints[containerID]?.ending == nil else {
            throw NetworkError.notReserved(containerID: containerID)
        }
        guard added.isEmpty || definition.isBridge && !definition.isInternal else {
            throw NetworkError.refused(.forbidden, "network \(name) publishes no ports")
        }
        guard definition.routedFamilies.isEmpty else {
            throw NetworkError.refused(
                .forbidden, "the gateway mode of network \(name) is routed: its ports can be changed while the container does not run")
        }
        let withIPv6 = definition.ipv6 != nil
        // A port of the host that only leads elsewhere is kept, not given back and taken.
        var (moved, wanted) = ([PublishedPort: PublishedPort](), [PublishedPort]())
        var given: [PublishedPort: [PublishedPort]] = [:]
        for port in removed.unfolded { if let key = port.onHost { given[key, default: []].append(port) } }
        for port in try added.flatMap(publishable).unfolded {
            if let old = port.onHost.flatMap({ given[$0]?.popLast() }) { moved[old] = port } else { wanted.append(port) }
        }
        wanted = wanted.folded
        let new = try await parts.ports.take(wanted, for: containerID, withIPv6: withIPv6)
        let taken = new + moved.values
        do {
            // Looked at again: it may have become another one meanwhile.
            guard let before = endpoints[containerID]?.info, isCurrent(info), before.isGateway else {
                throw NetworkError.notReserved(containerID: containerID)
            }
            info = before
            let gone = Set(removed.unfolded)
            info.ports = (before.ports.unfolded.filter { !gone.contains($0) } + taken.unfolded).folded
            endpoints[containerID]?.info = info
            try await open(info, insteadOf: before)
        } catch {
            try parts.ports.giveBack(new, of: containerID, withIPv6: withIPv6)
            throw error
        }
        parts.ports.rename(moved, of: containerID)
        try parts.ports.giveBack(removed.unfolded.filter { moved[$0] == nil }.folded, of: containerID, withIPv6: withIPv6)
        await forgetConnections(removed + taken, info)
        return info
    }

    /// Changes the limits of rate of a running container.
    func setRates(receiving: Int64, sending: Int64, of containerID: String) async throws -> EndpointInfo {
        guard let before = endpoints[containerID]?.info, isCurrent(before) else { throw NetworkError.notReserved(containerID: containerID) }
        var info = before
        info.setRates(receiving: receiving, sending: sending)
        guard !info.isLimited || definition.isBridge else { throw unlimited }
        guard definition.isBridge else { return before }
        endpoints[containerID]?.info = info
        try await saveChange(info)
        try await applyRates(info)
        // Disconnected meanwhile: what was made too late for that has to go as well.
        if !isCurrent(info) { await removeLink(info) }
        return info
    }

    /// Sets the limits of a running container as the database has them: an engine that was killed may have noted more than it did.
    func reapplyRates(_ info: EndpointInfo) async throws {
        if info.isLimited, definition.isBridge { try await applyRates(info) }
    }

    private func applyRates(_ info: EndpointInfo) async throws {
        let link = EndpointLink(endpoint: info, network: definition)
        try await parts.host.run { try link.applyRates() }
    }

    private var unlimited: NetworkError {
        .refused(.invalid, "limits of rate need bridge networks: \(name) is of the driver \(definition.driver.rawValue)")
    }

    private func open(_ info: EndpointInfo, insteadOf before: EndpointInfo) async throws {
        do {
            try await saveChange(info)
            try await parts.host.run { [firewall = parts.firewall, info] in try firewall.move(from: before, to: info) }
        } catch {
            if isCurrent(before) {
                endpoints[before.containerID]?.info = before
                try await saveChange(before)
            }
            throw error
        }
        // Disconnected meanwhile: what was opened too late for that has to go as well.
        if !isCurrent(info) {
            await closePorts(info)
            throw NetworkError.notReserved(containerID: info.containerID)
        }
    }

    func setNames(_ names: [String], of containerID: String) async throws {
        guard var info = endpoints[containerID]?.info, endpoints[containerID]?.ending == nil else { return }
        info.names = names
        endpoints[containerID]?.info = info
        parts.names.add(info)
        try await saveChange(info)
    }

    /// Closes the published ports, removes the device and forgets the endpoint. Not an error when there is none.
    func disconnect(_ containerID: String) async {
        guard let endpoint = endpoints[containerID], let info = endpoint.info else { return }
        if let ending = endpoint.ending { return await ending.value }
        let task = Task { await end(info, endpoint) }
        endpoints[containerID]?.ending = task
        await task.value
    }

    private func end(_ info: EndpointInfo, _ endpoint: Endpoint) async {
        parts.names.remove(info)
        await closePorts(info)
        if !info.ports.isEmpty { parts.ports.release(info.containerID) }
        do {
            try await parts.database.endpoints.delete(containerID: info.containerID, networkID: id)
        } catch {
            parts.logger.error(
                "an endpoint could not be deleted",
                metadata: ["container": "\(info.containerID)", "error": "\(error)"])
        }
        endpoints[info.containerID] = nil
        // The kernel takes its time for a device, which nobody has to wait for; the address is not given out before.
        removals[info.endpointID] = Task {
            await removeLink(info)
            await noteFormer(info)
            release(endpoint)
            places.release(info.hostInterface)
            await removeEmptyBridges()
            removals[info.endpointID] = nil
        }
    }

    func closePorts(_ endpoint: EndpointInfo) async {
        if endpoint.ports.isEmpty, endpoint.openPorts == nil { return }
        await attempt("published ports could not be closed", endpoint) { [firewall = parts.firewall] in
            try firewall.close(endpoint)
        }
        await forgetConnections(endpoint)
    }

    private func removeLink(_ endpoint: EndpointInfo) async {
        if endpoint.hostInterface.isEmpty { return }
        await attempt("a network device could not be removed", endpoint) {
            try EndpointLink.disconnect(endpoint)
        }
    }

    /// Does something whose failure must not keep the rest from being done.
    func attempt(
        _ failure: Logger.Message, _ endpoint: EndpointInfo, _ body: @escaping @Sendable () throws -> Void
    ) async {
        do {
            try await parts.host.run(body)
        } catch {
            parts.logger.error(failure, metadata: ["container": "\(endpoint.containerID)", "error": "\(error)"])
        }
    }
}

extension EndpointInfo {
    /// The row of the database.
    var record: EndpointRecord {
        EndpointRecord(
            containerID: containerID, networkID: networkID, ipv4: ipv4.isEmpty ? nil : ipv4, ipv6: ipv6.isEmpty ? nil : ipv6, mac: macAddress,
            json: json)
    }
}
