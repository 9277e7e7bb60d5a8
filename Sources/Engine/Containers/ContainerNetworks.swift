import Blocking
import DockerAPI
import Linux
import Logging
import Networking

extension Container {
    /// Reserves a place in every network of the container; undone by the stack.
    func reserveNetworks(_ undo: inout UndoStack) async throws {
        record.endpoints = []
        guard record.config.NetworkDisabled != true, !record.attachments.isEmpty else { return }
        let networks = context.networks
        let id = id
        let ports = try PortBindings(config: record.config, hostConfig: record.hostConfig).resolve()
        undo.add("disconnect the networks") { await networks.disconnect(containerID: id) }
        do {
            try await findNetworks()
            let gateway = GatewayChoice(record.attachments, try await networkInfos()).networkID
            for (number, attachment) in record.attachments.enumerated() {
                var request = try request(attachment, number: number)
                request.isGateway = attachment.networkID == gateway
                request.ports = request.isGateway ? ports : []
                request.takenInterfaces.formUnion(try interfaceNames(record.attachments.filter { $0 != attachment }))
                record.endpoints.append(try await networks.reserve(request))
            }
        } catch let error as NetworkError {
            throw await describe(error)
        }
    }

    /// The names that somebody has chosen for devices.
    private func interfaceNames(_ attachments: [NetworkAttachment]) throws -> [String] {
        try attachments.map { try EndpointOptions($0.settings.DriverOpts ?? [:]).interfaceName }
    }

    /// A network that was removed and made again meanwhile is found by its name.
    private func findNetworks() async throws {
        for (index, attachment) in record.attachments.enumerated() {
            let found: NetworkInfo
            do {
                found = try await context.networks.find(attachment.networkID.isEmpty ? attachment.networkName : attachment.networkID)
            } catch NetworkError.refused(.notFound, _) {
                found = try await context.networks.find(attachment.networkName)
            }
            record.attachments[index].networkID = found.id
            record.attachments[index].networkName = found.name
        }
    }

    private func networkInfos() async throws -> [NetworkInfo] {
        var infos: [NetworkInfo] = []
        for attachment in record.attachments { infos.append(try await context.networks.find(attachment.networkID)) }
        return infos
    }

    func request(_ attachment: NetworkAttachment, number: Int) throws -> EndpointRequest {
        var request = EndpointRequest(containerID: id, networkID: attachment.networkID)
        request.macAddress = attachment.settings.MacAddress ?? ""
        request.ipv4 = attachment.settings.IPAMConfig?.IPv4Address ?? ""
        request.ipv6 = attachment.settings.IPAMConfig?.IPv6Address ?? ""
        request.linkLocalAddresses = attachment.settings.IPAMConfig?.LinkLocalIPs ?? []
        request.options = try EndpointOptions(attachment.settings.DriverOpts ?? [:])
        request.interfaceNumber = number
        request.takenInterfaces = Set(record.endpoints.map(\.interface))
        request.names = record.names(attachment)
        request.receivingRate = record.hostConfig.NetworkInBps ?? 0
        request.sendingRate = record.hostConfig.NetworkOutBps ?? 0
        return request
    }

    /// Docker's sentence around what the network says, with whoever has the port.
    func describe(_ error: NetworkError) async -> EngineError {
        switch error {
        case .portAllocated(_, _, let holder) where !holder.isEmpty:
            // The holder may be a build's step or gone by now.
            let name = await (try? registry.find(holder))?.record.name ?? shortID(holder)
            return failedProgramming("\(error) (by container \(name))")
        case .portAllocated, .cannotBind, .noFreePort: return failedProgramming("\(error)")
        case .refused: return EngineError.wrapping(error)
        default: return EngineError(.internalError, "failed to set up container networking: \(error)")
        }
    }

    private func failedProgramming(_ reason: String) -> EngineError {
        EngineError(
            .internalError,
            "failed to set up container networking: driver failed programming external connectivity on endpoint \(record.name) (\(shortID(id))): \(reason)"
        )
    }

    /// Gives the process its devices.
    func connectNetworks(pid: Int32) async throws {
        for endpoint in record.endpoints { try await context.networks.connect(endpoint, pid: pid) }
        if !record.endpoints.isEmpty { try await serveNames(pid: pid) }
    }

    /// Lets the engine answer the container's questions about names.
    func serveNames(pid: Int32) async throws {
        var links: [String: String] = [:]
        for text in record.attachments.flatMap({ $0.settings.Links ?? [] }) {
            let link = NetworkLink(text)
            // One that is gone has no name; it may come back before anybody asks.
            let target = await (try? registry.find(link.container))?.record.name ?? link.container
            links[link.alias] = target
        }
        try await context.networks.serveNames(
            containerID: id, pid: pid, servers: record.hostConfig.Dns ?? [], links: links)
    }

    /// After a restart of the engine. What the networks know of the container counts: a start may have been cut off before
    /// its row was written.
    func restoreNetworks() async {
        guard let process = phase.process else { return }
        record.endpoints = await context.networks.endpoints(containerID: id)
        guard !record.endpoints.isEmpty else { return }
        do {
            try await serveNames(pid: process.pid)
        } catch {
            logger.error("names cannot be answered for a container", metadata: ["error": "\(error)"])
        }
        do {
            try await context.networks.settleRoutes(containerID: id, pid: process.pid)
        } catch {
            logger.error("the default route of a container could not be looked at", metadata: ["error": "\(error)"])
        }
    }

    /// Others find a container that runs by its new name from now on.
    func renameOnNetworks() async {
        for attachment in record.attachments where record.endpoints.contains(where: { $0.networkID == attachment.networkID }) {
            do {
                try await context.networks.setNames(record.names(attachment), containerID: id, networkID: attachment.networkID)
            } catch {
                logger.warning("a container keeps its old name on a network", metadata: ["error": "\(error)"])
            }
        }
        record.endpoints = await refreshed(record.endpoints)
    }

    func publishNetworks(_ action: String, _ endpoints: [EndpointInfo]) {
        for endpoint in endpoints {
            context.events.publish(
                "network", action, id: endpoint.networkID,
                attributes: ["container": id, "name": endpoint.networkName, "type": endpoint.driver])
        }
    }

    /// The same for the container's volumes: `mount` and `unmount`.
    func publishVolumes(_ action: String) { publishVolumes(action, record.mounts) }

    func publishVolumes(_ action: String, _ mounts: [ResolvedMount]) {
        for mount in mounts where mount.kind == .volume {
            var attributes = ["container": id]
            if action == "mount" {
                attributes.merge([
                    "destination": mount.destination, "driver": "local", "propagation": mount.propagation, "read/write": "\(!mount.readOnly)",
                ]) { $1 }
            } else {
                attributes["driver"] = "local"
            }
            context.events.publish("volume", action, id: mount.name, attributes: attributes)
        }
    }

    // MARK: Connecting and disconnecting

    /// `network connect`: at once when the container runs, at its next start otherwise.
    func connect(_ attachment: NetworkAttachment) async throws {
        await startSettled()
        try checkConnectable(attachment.networkName)
        guard !record.attachments.contains(where: { $0.networkID == attachment.networkID }) else {
            throw EngineError(.forbidden, "endpoint with name \(record.name) already exists in network \(attachment.networkName)")
        }
        record.attachments.append(attachment)
        guard let process = phase.process else { return try await save() }
        do {
            let endpoint = try await join(attachment, process)
            publishNetworks("connect", [endpoint])
            try await save()
        } catch {
            await leave(attachment, process)
            if let error = error as? NetworkError { throw await describe(error) }
            throw error
        }
    }

    private func join(_ attachment: NetworkAttachment, _ process: RunningContainer) async throws -> EndpointInfo {
        let numbers = Set(record.endpoints.compactMap { Int($0.interface.drop { !$0.isNumber }) })
        var wanted = try request(attachment, number: (0...numbers.count).first { !numbers.contains($0) } ?? numbers.count)
        wanted.isGateway = false
        let endpoint = try await context.networks.reserve(wanted)
        record.endpoints.append(endpoint)
        do {
            try await context.networks.connect(endpoint, pid: process.pid)
        } catch {
            // Nothing was made inside, or it is gone again.
            await context.networks.disconnect(containerID: id, networkID: attachment.networkID, pid: nil)
            throw error
        }
        try await settleGateway(process)
        try await serveNames(pid: process.pid)
        try await writeHosts()
        return record.endpoints.first { $0.networkID == attachment.networkID } ?? endpoint
    }

    /// After a connection that failed: where the gateway has moved there, it goes back first.
    private func leave(_ attachment: NetworkAttachment, _ process: RunningContainer) async {
        record.attachments.removeAll { $0.networkID == attachment.networkID }
        record.endpoints = await refreshed(record.endpoints)
        let others = record.endpoints.filter { $0.networkID != attachment.networkID }
        do {
            if record.gatewayEndpoint?.networkID == attachment.networkID {
                try await moveGateway(from: attachment.networkID, among: others, process)
            }
        } catch {
            logger.error("a container has no gateway", metadata: ["error": "\(error)"])
        }
        record.endpoints.removeAll { $0.networkID == attachment.networkID }
        await context.networks.disconnect(containerID: id, networkID: attachment.networkID, pid: process.pid)
    }

    /// Docker's rules for who may be connected at all.
    private func checkConnectable(_ network: String) throws {
        let mode = record.hostConfig.NetworkMode ?? ""
        switch phase {
        case .removing, .removed:
            throw EngineError(.conflict, "container \(id) is marked for removal and cannot be connected or disconnected to the network")
        default: break
        }
        if mode.hasPrefix("container:") {
            throw EngineError(
                .forbidden, "container sharing network namespace with another container or host cannot be connected to any other network")
        }
        if mode == "host" {
            throw EngineError(.forbidden, "container cannot be connected to host network or disconnected from it")
        }
        if mode == "none" {
            throw EngineError(.forbidden, "container cannot be connected to multiple networks with one of the networks in private (none) mode")
        }
    }

    /// `network disconnect`.
    func disconnect(networkID: String, name: String) async throws {
        await startSettled()
        guard let attachment = record.attachments.first(where: { $0.networkID == networkID || $0.networkName == name }) else {
            throw EngineError(.forbidden, "container \(id) is not connected to network \(name)")
        }
        let place = record.attachments.firstIndex(of: attachment) ?? 0
        record.attachments.removeAll { $0 == attachment }
        guard let process = phase.process, let endpoint = record.endpoints.first(where: { $0.networkID == networkID }) else {
            return try await save()
        }
        let others = record.endpoints.filter { $0.networkID != networkID }
        do {
            if endpoint.isGateway { try await moveGateway(from: networkID, among: others, process) }
        } catch {
            // In its place: the order of the networks is that of the devices.
            record.attachments.insert(attachment, at: min(place, record.attachments.count))
            record.endpoints = await refreshed(record.endpoints)
            if let error = error as? NetworkError { throw await describe(error) }
            throw error
        }
        record.endpoints.removeAll { $0.networkID == networkID }
        await context.networks.disconnect(containerID: id, networkID: networkID, pid: process.pid)
        try await writeHosts()
        publishNetworks("disconnect", [endpoint])
        try await save()
    }

    /// After a change of the networks: whoever should be the gateway becomes it.
    private func settleGateway(_ process: RunningContainer) async throws {
        let wanted = GatewayChoice(record.attachments, try await networkInfos()).networkID
        let current = record.gatewayEndpoint?.networkID
        if wanted != current { try await moveGateway(from: current, to: wanted, process) }
    }

    private func moveGateway(from old: String, among others: [EndpointInfo], _ process: RunningContainer) async throws {
        let infos = try await networkInfos()
        let wanted = GatewayChoice(record.attachments.filter { a in others.contains { $0.networkID == a.networkID } }, infos).networkID
        try await moveGateway(from: old, to: wanted, process)
    }

    private func moveGateway(from old: String?, to new: String?, _ process: RunningContainer) async throws {
        let ports = try PortBindings(config: record.config, hostConfig: record.hostConfig).resolve()
        try await context.networks.moveGateway(containerID: id, from: old, to: new, publishing: ports, pid: process.pid)
        record.endpoints = await refreshed(record.endpoints)
    }

    /// As the networks know them now.
    func refreshed(_ endpoints: [EndpointInfo]) async -> [EndpointInfo] {
        var fresh: [EndpointInfo] = []
        for endpoint in endpoints {
            fresh.append(await context.networks.endpoint(containerID: id, network: endpoint.networkID) ?? endpoint)
        }
        return fresh
    }

    private func writeHosts() async throws {
        let record = record
        let paths = paths
        try await blocking { try NetworkFiles(record: record, paths: paths).write() }
    }
}

/// Which network gives a container its default route: the highest priority, then the first name in the alphabet; never an
/// internal one.
struct GatewayChoice {
    let networkID: String?

    init(_ attachments: [NetworkAttachment], _ networks: [NetworkInfo]) {
        let candidates = attachments.compactMap { attachment -> (priority: Int64, network: NetworkInfo)? in
            guard let network = networks.first(where: { $0.id == attachment.networkID }), !network.isInternal else { return nil }
            return (attachment.settings.GwPriority ?? 0, network)
        }
        networkID =
            candidates.min {
                ($1.priority, $0.network.hasIPv4 ? 0 : 1, $0.network.name) < ($0.priority, $1.network.hasIPv4 ? 0 : 1, $1.network.name)
            }?.network.id
    }
}

extension ContainerRecord {
    /// By these names others find the container on a network.
    func names(_ attachment: NetworkAttachment) -> [String] {
        var names: [String] = []
        for name in [name] + (attachment.settings.Aliases ?? []) + [shortID(id), config.Hostname ?? ""]
        where !name.isEmpty && !names.contains(name) { names.append(name) }
        return names
    }
}
