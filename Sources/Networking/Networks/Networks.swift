public import Linux
public import Logging
public import Store

/// The networks of one engine on one host.
///
/// Order for a container: `reserve` (addresses, ports, database), `connect` once its network namespace exists,
/// `disconnect` when it has ended. `prepare` comes before everything else. Blocking work happens on plain threads; what
/// concerns one network is that network's own business (`Network`), so nobody waits for another one.
public actor Networks {
    /// The name of the network that containers get without asking.
    public static let defaultNetwork = "bridge"

    let database: Database
    let logger: Logger
    let configuration: Configuration
    let host: Host
    let parts: Network.Parts
    /// By id.
    var networks: [String: Network] = [:]
    /// Names and subnets of all networks, those that are being made or removed included. By id.
    var claims: [String: NetworkDefinition] = [:]
    /// What networks may be made of. By id.
    var configurations: [String: NetworkConfiguration] = [:]
    let names: NameServer
    private var preparation: Task<Void, any Error>?
    private var isLoaded = false
    private var watch: HostWatch?
    private var repair: Task<Void, Never>?
    private var needsRepair = false
    private var passing: Task<Void, Never>?
    private var needsPass = false
    private var pause = ChangePause()
    private var lastPass = ContinuousClock.now

    public init(database: Database, logger: Logger, configuration: Configuration = Configuration()) {
        self.database = database
        self.logger = logger
        self.configuration = configuration
        host = Host(namespace: configuration.hostNamespace)
        parts = Network.Parts(
            database: database, logger: logger, host: host, ports: PortClaims(host: host),
            firewall: FirewallTable(table: configuration.nftTable), names: NameTable(), containersPerBridge: configuration.containersPerBridge)
        names = NameServer(
            table: parts.names, host: host, resolver: HostResolver(paths: configuration.resolverFiles), logger: logger)
    }

    /// Makes what all containers share: devices, addresses, forwarding, firewall. Repairs what is there; idempotent.
    public func prepare() async throws {
        if let preparation { return try await preparation.value }
        let task = Task { try await prepareNow() }
        preparation = task
        defer { preparation = nil }
        try await task.value
    }

    private func prepareNow() async throws {
        try configuration.validate()
        var restored: [EndpointInfo]?
        if !isLoaded {
            restored = try await load()
            isLoaded = true
        }
        let isFirst = restored != nil
        let (present, missing) = try await makeDevices()
        let loop = try await host.run { [firewall = parts.firewall, logger, present, missing, restored, configuration] in
            let loop = configuration.followsInputPolicy ? try InputLoop.make(table: configuration.nftTable) : nil
            firewall.setLoop(loop)
            if loop == nil, restored != nil { try InputLoop.remove(table: configuration.nftTable) }
            // No packet is passed on before there are rules for it.
            let bridges = (present + missing).filter(\.isBridge)
            try firewall.install(with: bridges, segments: try BridgeSegment.devices(of: bridges.map(\.id)), open: restored)
            firewall.passForward(logger)
            try Forwarding.enable(withIPv6: present.contains { $0.ipv6 != nil })
            return loop
        }
        try await activate(present, removingOthers: isFirst)
        try await host.run {
            try loop?.activate()
            if isFirst { try EndpointRates.removeOrphans() }
        }
        if let restored { await forgetFormer(but: restored) }
    }

    /// The networks whose devices are there now, and those whose devices were not found. They may be there all the same, with
    /// containers on them, and have their rules.
    private func makeDevices() async throws -> (present: [NetworkDefinition], missing: [NetworkDefinition]) {
        var (present, missing): ([NetworkDefinition], [NetworkDefinition]) = ([], [])
        for network in networks.values where networks[network.id] != nil {
            do {
                try await network.makeDevices()
                let found = await network.definition
                guard networks[network.id] != nil else {
                    // Removed meanwhile, and made again by us.
                    try await host.run { try NetworkDevice.remove(found) }
                    continue
                }
                present.append(found)
            } catch {
                // The others work without it; its containers get the error when they start.
                if network.name == Self.defaultNetwork { throw error }
                if networks[network.id] != nil { missing.append(await network.definition) }
                logger.error("a network could not be restored", metadata: ["network": "\(network.name)", "error": "\(error)"])
            }
        }
        return (present, missing)
    }

    /// The default network's failure is told when the others are up.
    private func activate(_ present: [NetworkDefinition], removingOthers: Bool) async throws {
        var failure: (any Error)?
        for definition in present where definition.isBridge {
            guard let network = networks[definition.id] else { continue }
            do {
                try await network.activate(removingOthers: removingOthers)
            } catch {
                if definition.isDefault { failure = error }
                logger.error("a network could not be set up", metadata: ["network": "\(definition.name)", "error": "\(error)"])
            }
        }
        if let failure { throw failure }
    }

    // MARK: Watching the host

    /// From now on what somebody else removes, devices or rules, is put back at once.
    public func startWatching() async throws {
        guard watch == nil else { return }
        let started = try await HostWatch.start(host: host, table: configuration.nftTable, firewall: parts.firewall, logger: logger) {
            [weak self] change in
            Task { await self?.hostChanged(change) }
        }
        if watch == nil { watch = started } else { started.stop() }
    }

    func stopWatching() {
        watch?.stop()
        watch = nil
    }

    private func hostChanged(_ change: HostWatch.Change) {
        switch change {
        case .deviceGone(let device):
            let loop = InputLoop.names(table: configuration.nftTable)
            let isOurs =
                networks.values.contains { $0.device == device || $0.hasSegmentDevice(device) }
                || configuration.followsInputPolicy && device == loop.outer
            guard isOurs else { return }
            needsRepair = true
        case .tableDamaged: needsRepair = true
        case .passChanged:
            needsPass = true
            if passing == nil { passing = Task { await passAll() } }
        }
        if needsRepair, repair == nil { repair = Task { await repairAll() } }
    }

    /// So often it is tried to look at what changes all the time.
    private static let mostPasses = 5

    /// Changes of routes and filters come in numbers: those of a moment are met together.
    private func passAll() async {
        pause.rest(lastPass.duration(to: .now))
        var failures = 0
        while needsPass {
            needsPass = false
            // Ends early when somebody ends this task, and nobody does.
            try? await Task.sleep(for: pause.length)
            pause.end(hearingMore: needsPass || failures > 0)
            needsPass = false
            do {
                let isDone = try await host.run { [firewall = parts.firewall, logger] in firewall.passForward(logger) }
                failures = isDone ? 0 : failures + 1
                // What changed while it was read is read again after the next pause.
                if 1..<Self.mostPasses ~= failures { needsPass = true }
            } catch {
                logger.error("what iptables lets pass could not be looked at", metadata: ["error": "\(error)"])
            }
        }
        lastPass = .now
        passing = nil
    }

    private func repairAll() async {
        while needsRepair {
            needsRepair = false
            do {
                try await prepare()
                logger.warning("networks were repaired after somebody had changed them")
            } catch {
                logger.error("networks could not be repaired", metadata: ["error": "\(error)"])
            }
        }
        repair = nil
    }

    /// Every entry begins with it: a first `prepare` that failed is tried again.
    func prepareOnce() async throws {
        if !isLoaded { try await prepare() }
    }

    // MARK: Looking things up

    /// The network of a name, an id or the beginning of an id, without its endpoints, which may be thousands.
    public func find(_ text: String) async throws -> NetworkInfo {
        try await prepareOnce()
        if let configuration = try configuration(text) {
            throw NetworkError.refused(.forbidden, "cannot create endpoint on configuration-only network \(configuration.name)")
        }
        return await (try network(text)).definition.info(endpoints: [])
    }

    func network(_ text: String) throws -> Network {
        if let network = networks[text] ?? networks.values.first(where: { $0.name == text }) { return network }
        let matches = text.isEmpty ? [] : networks.keys.filter { $0.hasPrefix(text) }
        guard matches.count <= 1 else {
            throw NetworkError.refused(.invalid, "network \(text) is ambiguous (\(matches.count) matches found based on ID prefix)")
        }
        guard let id = matches.first, let network = networks[id] else {
            throw NetworkError.refused(.notFound, "network \(text) not found")
        }
        return network
    }

    /// The networks with their endpoints, for `network ls` and `network inspect`. Empty before `prepare`.
    public func info() async -> [NetworkInfo] {
        var infos: [NetworkInfo] = []
        for network in networks.values { infos.append(await network.info()) }
        infos += configurations.values.map(\.info)
        return infos.sorted { ($0.created, $0.id) < ($1.created, $1.id) }
    }

    /// The endpoint of a container in a network, the default one unless another is named.
    public func endpoint(containerID: String, network: String = Networks.defaultNetwork) async -> EndpointInfo? {
        // A network that is gone has no endpoint.
        await (try? self.network(network))?.endpoint(containerID)
    }

    /// All endpoints of a container.
    public func endpoints(containerID: String) async -> [EndpointInfo] {
        var found: [EndpointInfo] = []
        for network in networks.values {
            if let endpoint = await network.endpoint(containerID) { found.append(endpoint) }
        }
        return found.sorted { $0.interface < $1.interface }
    }

    /// What went through a container's device in the default network, as the container sees it; nil when it has none.
    public func counters(containerID: String) async throws -> LinkCounters? {
        guard let interface = await endpoint(containerID: containerID)?.hostInterface else { return nil }
        return try await host.run { try EndpointLink.counters(interface) }
    }
}
