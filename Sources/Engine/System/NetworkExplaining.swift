public import DockerAPI
import Linux
import Networking

extension ContainerEngine {
    /// `network explain`: a port of the host (`8080`, `53/udp`, `127.0.0.1:8080`), or a container.
    public func explainNetwork(_ target: String) async throws -> NetworkExplanation {
        let filters: [HostFilter]
        do {
            filters = try await context.networks.hostFilters()
        } catch {
            throw EngineError(.internalError, "the host's rules cannot be read: \(error)")
        }
        let view = ExplanationView(
            networks: await context.networks.info(), filters: filters, followsInputPolicy: context.networks.followsInputPolicy)
        if let port = ExplainedPort(target) { return try await explain(port, view) }
        let container = try await registry.find(target)
        return view.explain(await container.record, isLive: await container.phase.isLive)
    }

    private func explain(_ port: ExplainedPort, _ view: ExplanationView) async throws -> NetworkExplanation {
        var explanation = NetworkExplanation()
        explanation.Subject = "port \(port.text)"
        var facts: [String] = []
        var ways: [NetworkExplanation.Way] = []
        for container in await registry.all() where await container.phase.isLive {
            let record = await container.record
            for endpoint in record.endpoints {
                for run in endpoint.ports where port.means(run) {
                    let published = run.single(port.number)
                    facts.append(view.leads(published, to: endpoint, of: record.name))
                    ways += view.ways(through: published, to: endpoint)
                }
            }
            let isExposed = !record.endpoints.isEmpty && (record.config.ExposedPorts ?? [:]).keys.contains(where: port.isAmong)
            if isExposed, !record.endpoints.flatMap(\.ports).contains(where: { $0.containerPorts.contains(port.number) && $0.proto == port.proto }) {
                facts.append(
                    "container \(record.name) exposes its own port \(port.number), which is not published: skiff update -p \(port.number):\(port.number) \(record.name)"
                )
            }
        }
        if ways.isEmpty {
            facts.insert("no container publishes it", at: 0)
            if try await context.networks.isTakenByHost(port.number, port.proto) {
                facts.append("a program of the host has it; the host's rules for what comes in decide who reaches it")
            }
        }
        explanation.Facts = facts
        explanation.Ways = ways
        explanation.Host = view.hostSentences(concerningPorts: !ways.isEmpty)
        return explanation
    }
}

/// `8080`, `53/udp`, `127.0.0.1:8080/tcp`, `[::1]:8080`
struct ExplainedPort {
    let address: String?
    let number: UInt16
    let proto: TransportProtocol

    /// Nil for what is no port.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first else { return nil }
        guard let proto = TransportProtocol(rawValue: parts.count == 2 ? parts[1].lowercased() : "tcp") else { return nil }
        let colon = first.lastIndex(of: ":")
        guard let number = UInt16(colon.map { first[first.index(after: $0)...] } ?? first), number > 0 else { return nil }
        self.number = number
        self.proto = proto
        guard let colon else {
            address = nil
            return
        }
        let host = first[..<colon].drop { $0 == "[" }
        address = String(host.hasSuffix("]") ? host.dropLast() : host)
        guard IPAddress(address ?? "") != nil else { return nil }
    }

    var text: String { (address.map { ($0.contains(":") ? "[\($0)]" : $0) + ":" } ?? "") + "\(number)/\(proto.rawValue)" }

    /// `80/tcp`, `8000-8099/udp`
    func isAmong(_ key: String) -> Bool {
        PortKey(key).map { $0.first <= number && number <= $0.last && $0.proto == proto.rawValue } ?? false
    }

    func means(_ port: PublishedPort) -> Bool {
        guard port.hostPorts.contains(number), port.proto == proto else { return false }
        guard let address else { return true }
        return port.hostAddresses.contains { $0 == address || $0 == (address.contains(":") ? "::" : "0.0.0.0") }
    }
}

/// Turns what is known of networks, endpoints and the host's rules into sentences. docs/networking.md has the table that they
/// say in words.
struct ExplanationView {
    let networks: [NetworkInfo]
    let filters: [HostFilter]
    let followsInputPolicy: Bool

    private typealias Way = NetworkExplanation.Way

    private func way(_ from: String, _ to: String, _ reaches: Bool, _ why: String) -> NetworkExplanation.Way {
        var way = Way()
        (way.From, way.To, way.Reaches, way.Why) = (from, to, reaches, why)
        return way
    }

    // MARK: Ports

    func leads(_ port: PublishedPort, to endpoint: EndpointInfo, of container: String) -> String {
        let targets = [endpoint.ipv4, endpoint.ipv6].filter { !$0.isEmpty }.joined(separator: " and ")
        return "\(place(port)) leads to port \(port.containerPorts.text) of container \(container) (\(targets)) on network \(endpoint.networkName)"
    }

    /// `127.0.0.1:8080/tcp`
    private func place(_ port: PublishedPort) -> String {
        let address = port.hostAddress.isEmpty ? "every address" : port.hostAddress
        return "port \(port.hostPorts.text)/\(port.proto.rawValue) of \(address)"
    }

    func ways(through port: PublishedPort, to endpoint: EndpointInfo) -> [NetworkExplanation.Way] {
        var ways: [NetworkExplanation.Way] = []
        for address in port.hostAddresses {
            let isV4 = !address.contains(":")
            let to = isV4 ? "\(address):\(port.hostPorts.text)" : "[\(address)]:\(port.hostPorts.text)"
            guard !(isV4 ? endpoint.ipv4 : endpoint.ipv6).isEmpty else {
                ways.append(way("anybody", to, false, "the container has no address of this family"))
                continue
            }
            if address.hasPrefix("127.") {
                ways.append(way("the host", to, true, "published for the host alone"))
                ways.append(way("outside, and other containers", to, false, "nobody but the host may name a loopback address"))
                continue
            }
            ways.append(outside(to))
            ways.append(
                way("the host", to, true, address == "::" ? "published; [::1] is refused, 127.0.0.1 answers" : "published"))
            ways.append(way("containers of \(endpoint.networkName)", to, true, "through the host's address, as everybody"))
            ways.append(way("containers of other networks", to, true, "published ports are open to them"))
            for network in networks where network.isInternal {
                ways.append(way("containers of \(network.name)", to, false, "the network is internal: nothing leaves it"))
            }
        }
        return ways
    }

    /// What of others keeps everything from being passed on, in words.
    private var forwardObstacle: String? {
        filters.first { $0.point == .forward && $0.dropsByDefault && !$0.letsUsPass }
            .map { "\($0.name) drops what is passed on, unless one of its \($0.rules) rules accepts it" }
    }

    private func outside(_ to: String) -> NetworkExplanation.Way {
        if let obstacle = forwardObstacle { return way("outside", to, false, obstacle) }
        guard followsInputPolicy else { return way("outside", to, true, "published; the client's own address is seen inside") }
        let inputs = filters.filter { $0.point == .input }
        guard let filter = inputs.first(where: \.dropsByDefault) ?? inputs.first else {
            return way("outside", to, true, "published, and the host has no rules for what comes in")
        }
        if filter.dropsByDefault {
            return way("outside", to, false, "\(filter.name) drops what comes in, unless one of its \(filter.rules) rules accepts this port")
        }
        return way("outside", to, true, "published, unless one of the \(filter.rules) rules of \(filter.name) drops it")
    }

    // MARK: Containers

    func explain(_ record: ContainerRecord, isLive: Bool) -> NetworkExplanation {
        var explanation = NetworkExplanation()
        explanation.Subject = "container \(record.name)"
        let mode = record.hostConfig.NetworkMode ?? Networks.defaultNetwork
        var facts: [String] = []
        var ways: [NetworkExplanation.Way] = []
        if !isLive {
            facts.append("it does not run: nobody reaches it")
        } else if mode == "host" {
            facts.append("it uses the host's own network: what it listens on is a port of the host, for which the host's rules decide")
        } else if mode.hasPrefix("container:") {
            facts.append("it shares the network of container \(mode.dropFirst(10)), which is the one to be explained")
        } else if record.endpoints.isEmpty {
            facts.append("it is on no network: it has its own loopback alone")
        }
        if isLive {
            for endpoint in record.endpoints {
                guard let network = networks.first(where: { $0.id == endpoint.networkID }) else { continue }
                facts.append(place(endpoint, network))
                if let text = rates(endpoint) { facts.append(text) }
                ways += network.driver == "bridge" ? bridgeWays(endpoint, network) : childWays(endpoint, network)
                for port in endpoint.ports { ways += self.ways(through: port, to: endpoint) }
                ways += openWays(endpoint)
            }
        }
        explanation.Facts = facts
        explanation.Ways = ways
        explanation.Host = hostSentences(concerningPorts: isLive && record.endpoints.contains { !$0.ports.isEmpty })
        return explanation
    }

    /// By the container's own addresses, where no address is changed.
    private func openWays(_ endpoint: EndpointInfo) -> [NetworkExplanation.Way] {
        (endpoint.openPorts ?? []).map { port in
            let isV4 = port.hostAddress == "0.0.0.0"
            let to = (isV4 ? endpoint.ipv4 : "[\(endpoint.ipv6)]") + ":\(port.containerPorts.text)/\(port.proto.rawValue)"
            return way(
                "outside, and containers of other networks", to, forwardObstacle == nil,
                forwardObstacle ?? "published, and the network is routed: whoever has a route to it")
        }
    }

    private func place(_ endpoint: EndpointInfo, _ network: NetworkInfo) -> String {
        let addresses = [endpoint.ipv4, endpoint.ipv6].filter { !$0.isEmpty }.joined(separator: " and ")
        let kind = network.isInternal ? "the internal network" : "network"
        return "on \(kind) \(network.name) (\(network.driver), device \(network.device)) it is \(addresses) by \(endpoint.interface)"
    }

    private func rates(_ endpoint: EndpointInfo) -> String? {
        let limits = [("receives", endpoint.receivingRate), ("sends", endpoint.sendingRate)].compactMap { verb, rate in
            rate.map { "\(verb) at most \($0 * 8 / 1000) kbit a second" }
        }
        return limits.isEmpty ? nil : "there it " + limits.joined(separator: " and ")
    }

    private func bridgeWays(_ endpoint: EndpointInfo, _ network: NetworkInfo) -> [NetworkExplanation.Way] {
        let to = endpoint.ipv4.isEmpty ? endpoint.ipv6 : endpoint.ipv4
        var ways = modes(endpoint, network).flatMap { address, mode in
            [
                outside(address, mode, network),
                mode == "isolated"
                    ? way("the host", address, false, "the gateway mode is isolated: the host has no address there")
                    : way("the host", address, true, "the host is on every bridge"),
            ]
        }
        ways += [
            way(
                "containers of \(network.name)", to, network.connectsContainers,
                network.connectsContainers ? "the same network" : "enable_icc=false keeps its containers apart"),
            way("containers of other networks", to, false, "networks are kept apart; published ports are the way"),
        ]
        if network.isInternal {
            ways.append(way("the container", "outside, the host and other networks", false, "the network is internal: nothing leaves it"))
        } else if endpoint.isGateway {
            let obstacle = forwardObstacle
            for (address, mode) in modes(endpoint, network) {
                let source = network.masquerades && mode != "routed" ? "under the host's address" : "under its own address, \(address)"
                ways.append(way("the container", "outside", obstacle == nil, obstacle ?? "its default route leads here; \(source)"))
            }
        } else {
            ways.append(way("the container", "outside", false, "not by this network: its default route leads elsewhere"))
        }
        return ways
    }

    /// The container's addresses with their gateway modes: one where both families have the same.
    private func modes(_ endpoint: EndpointInfo, _ network: NetworkInfo) -> [(address: String, mode: String)] {
        let all = [(endpoint.ipv4, network.gatewayMode4), (endpoint.ipv6, network.gatewayMode6)].filter { !$0.0.isEmpty }
        return network.gatewayMode4 == network.gatewayMode6 ? Array(all.prefix(1)) : all
    }

    private func outside(_ address: String, _ mode: String, _ network: NetworkInfo) -> NetworkExplanation.Way {
        if network.isInternal { return way("outside", address, false, "the network is internal") }
        guard mode == "nat-unprotected" else { return way("outside", address, false, "nothing but published ports is open") }
        return way("outside", address, forwardObstacle == nil, forwardObstacle ?? "the gateway mode is nat-unprotected: whoever has a route to it")
    }

    private func childWays(_ endpoint: EndpointInfo, _ network: NetworkInfo) -> [NetworkExplanation.Way] {
        let to = endpoint.ipv4.isEmpty ? endpoint.ipv6 : endpoint.ipv4
        return [
            way("everybody on the network of \(network.device)", to, true, "it stands there itself; no rule of this engine is between"),
            way("the host", to, false, "\(network.driver) devices and their parent do not talk to each other"),
            way("containers of \(network.name)", to, true, "the same network"),
        ]
    }

    // MARK: The host

    func hostSentences(concerningPorts: Bool) -> [String] {
        var sentences: [String] = []
        for filter in filters {
            switch filter.point {
            case .forward:
                let what = filter.dropsByDefault ? "\(filter.name) drops what is passed on by default" : "\(filter.name) may drop what is passed on"
                if filter.name.hasSuffix("legacy") {
                    sentences.append("\(what); its rules cannot be seen from here")
                } else {
                    let ours = "; rules that this engine keeps there let its networks pass where none of the \(filter.rules) others drops"
                    sentences.append(what + (filter.letsUsPass ? ours : "; none of its \(filter.rules) rules is of this engine"))
                }
            case .input where followsInputPolicy && concerningPorts:
                let verdict = filter.dropsByDefault ? "drops" : "accepts"
                sentences.append("\(filter.name) decides about published ports (--host-input-policy); by default it \(verdict)")
            case .input: continue
            }
        }
        return sentences
    }
}
