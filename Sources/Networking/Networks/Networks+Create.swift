import Linux
import Logging
import Store

extension Networks {
    /// `network create`: checks, chooses subnets that nobody has, writes the row, then makes device and rules.
    public func create(_ request: NetworkRequest) async throws -> NetworkInfo {
        try await prepareOnce()
        if request.isConfiguration { return try await createConfiguration(request) }
        var plan = try NetworkPlan(configured(request))
        try claimName(plan.definition)
        do {
            let device = plan.definition.device
            let facts = try await host.run { try HostRoutes.read(ownDevice: device) }
            // No waiting between looking at the other networks and being among them.
            try plan.chooseSubnets(facts, configuration.ipv4Pool, others: claims.values.filter { $0.id != plan.definition.id })
            claims[plan.definition.id] = plan.definition
            return try await make(plan.definition)
        } catch {
            claims[plan.definition.id] = nil
            throw error
        }
    }

    private func claimName(_ definition: NetworkDefinition) throws {
        guard !isTaken(definition.name) else {
            throw NetworkError.refused(.conflict, "network with name \(definition.name) already exists")
        }
        if let other = claims.values.first(where: { $0.device == definition.device && definition.isBridge }) {
            throw NetworkError.refused(.conflict, "bridge name \(definition.device) already assigned to network \(other.name)")
        }
        claims[definition.id] = definition
    }

    private func make(_ definition: NetworkDefinition) async throws -> NetworkInfo {
        let network = try Network(definition, parts)
        try await database.networks.save(
            id: definition.id, name: definition.name, created: definition.created, json: definition.json)
        do {
            let found = try await host.run { [firewall = parts.firewall, logger] in
                let found = try NetworkDevice.make(definition)
                guard found.isBridge else { return found }
                // No packet is passed on before there are rules for it.
                try firewall.add(found)
                firewall.passForward(logger)
                try BridgeDevice.activate(found)
                return found
            }
            await network.update(found)
        } catch {
            await undo(definition)
            throw error
        }
        networks[definition.id] = network
        return await network.info()
    }

    private func undo(_ definition: NetworkDefinition) async {
        do {
            try await takeAway(definition)
        } catch {
            logger.error("a network could not be taken back", metadata: ["network": "\(definition.name)", "error": "\(error)"])
        }
    }

    /// `network rm`. Throws `NetworkInUse` while a container is on it.
    public func remove(_ text: String) async throws -> NetworkInfo {
        try await prepareOnce()
        if let configuration = try configuration(text) { return try await removeConfiguration(configuration) }
        let network = try network(text)
        let info = await network.info()
        guard network.name != Self.defaultNetwork else {
            throw NetworkError.refused(.forbidden, "\(network.name) is a pre-defined network and cannot be removed")
        }
        try await network.beginRemoval()
        networks[network.id] = nil
        await network.settle()
        try await takeAway(await network.definition)
        await network.forgetFormer()
        claims[network.id] = nil
        return info
    }

    /// The device goes first, then its rules, then the row: whatever is left after a crash is still known.
    private func takeAway(_ definition: NetworkDefinition) async throws {
        try await host.run { [firewall = parts.firewall, logger] in
            try NetworkDevice.remove(definition)
            guard definition.isBridge else { return }
            try firewall.remove(networkID: definition.id)
            firewall.passForward(logger)
        }
        try await database.networks.delete(id: definition.id)
    }
}

/// A network that is about to be made.
struct NetworkPlan {
    private(set) var definition: NetworkDefinition
    private let wantsIPv4: Bool
    /// Nil: IPv6 too, where the host has it.
    private let wantsIPv6: Bool?

    init(_ request: NetworkRequest) throws {
        try Self.check(name: request.name)
        let driver = try Self.driver(request.driver)
        let settings = try DriverOptions(request.options, driver: driver)
        let subnets = try SubnetRequest.resolve(request.subnets)
        let id = randomID()
        let device = settings.device ?? (driver == .bridge ? "br-" + id.prefix(12) : ParentDevice.dummyName(networkID: id))
        guard Networks.Configuration.isDeviceName(device, mayBeVLAN: driver != .bridge), driver != .bridge || !BridgeSegment.isDevice(device) else {
            throw NetworkError.refused(.invalid, "invalid name of a network device: \(device)")
        }
        definition = NetworkDefinition(
            id: id, name: request.name, created: Timestamp.now().description, device: device,
            ipv4: subnets.first { $0.prefix.address.isV4 }, storedIPv6: subnets.first { !$0.prefix.address.isV4 })
        definition.driver = driver
        definition.settings = settings
        definition.options = request.options
        definition.labels = request.labels
        definition.configuration = request.configuration
        definition.isAttachable = request.isAttachable
        // Containers of a network without a parent have nowhere to go.
        definition.isInternal = request.isInternal || (driver != .bridge && settings.device == nil)
        guard request.isInternal || !AddressFamily.allCases.contains(where: { settings.gatewayMode($0) == .isolated }) else {
            throw NetworkError.refused(.invalid, "gateway mode 'isolated' can only be used for an internal network")
        }
        wantsIPv4 = request.wantsIPv4 ?? true
        // Who names subnets has said everything about addresses.
        wantsIPv6 = request.wantsIPv6 ?? (subnets.isEmpty ? nil : definition.storedIPv6 != nil)
        guard subnets.filter(\.prefix.address.isV4).count <= 1, subnets.filter({ !$0.prefix.address.isV4 }).count <= 1 else {
            throw NetworkError.refused(.forbidden, "\(driver.rawValue) driver doesn't support multiple subnets")
        }
        guard wantsIPv4 || wantsIPv6 == true else {
            throw NetworkError.refused(.invalid, "IPv4 or IPv6 must be enabled")
        }
    }

    static func check(name: String) throws {
        let isPrintable = name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") }
        guard !name.isEmpty else { throw NetworkError.refused(.invalid, "invalid name: name is empty") }
        guard isPrintable, name.utf8.count <= 255, !name.contains(where: \.isWhitespace) else {
            throw NetworkError.refused(.invalid, "invalid network name: \(name)")
        }
        guard !["bridge", "host", "none", "default"].contains(name) else {
            throw NetworkError.refused(.forbidden, "operation is not permitted on predefined \(name) network ")
        }
        guard !name.hasPrefix("container:") else { throw NetworkError.refused(.invalid, "invalid network name: \(name)") }
    }

    private static func driver(_ name: String) throws -> NetworkDriver {
        switch name {
        case "", "default": return .bridge
        case "host", "null", "none":
            let real = name == "none" ? "null" : name
            throw NetworkError.refused(.forbidden, "only one instance of \"\(real)\" network is allowed")
        default: break
        }
        guard let driver = NetworkDriver(rawValue: name) else {
            throw NetworkError.refused(.notFound, "could not find plugin \(name) in v1 plugin registry: plugin not found")
        }
        return driver
    }

    /// Fills in what the user left open, and refuses what somebody else has.
    mutating func chooseSubnets(_ facts: HostRoutes, _ pool: [String], others: [NetworkDefinition]) throws {
        definition.hasIPv6 = facts.hasIPv6
        let taken = others.flatMap { [$0.ipv4?.prefix, $0.storedIPv6?.prefix] }.compactMap { $0 }
        for subnet in [definition.ipv4, definition.storedIPv6].compactMap({ $0 }) {
            guard !taken.contains(where: subnet.prefix.overlaps) else {
                throw NetworkError.refused(.forbidden, "invalid pool request: Pool overlaps with other one on this address space")
            }
            // The parent's own subnet is what children of a device are for.
            guard definition.isBridge, let route = SubnetChoice.conflict(subnet.prefix, routes: facts.routes) else { continue }
            throw NetworkError.refused(
                .forbidden, "invalid pool request: Pool overlaps with the host's route to \(route.destination)")
        }
        if !wantsIPv4 { definition.ipv4 = nil }
        if wantsIPv6 == false { definition.storedIPv6 = nil }
        if wantsIPv4, definition.ipv4 == nil {
            let others = taken.filter(\.address.isV4)
            definition.ipv4 = Subnet(try SubnetChoice.ipv4(pool: pool, others: others, routes: facts.routes, ownLink: nil))
        }
        guard wantsIPv6 ?? facts.hasIPv6 else { return }
        guard facts.hasIPv6 else { throw NetworkError.refused(.invalid, "IPv6 is turned off on this host") }
        if definition.storedIPv6 == nil, let first = others.first(where: \.isDefault)?.storedIPv6?.prefix {
            let others = taken.filter { !$0.address.isV4 }
            definition.storedIPv6 = Subnet(try SubnetChoice.ipv6(beside: first, others: others))
        }
    }
}
