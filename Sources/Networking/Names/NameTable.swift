import Linux
import Synchronization

/// Who has which name on which network, and what a container may see of it. Changed by the networks, read by the server
/// of names; nothing in here waits.
final class NameTable: Sendable {
    /// What a container asks for besides the networks that it is on.
    struct View: Sendable {
        /// Other names for containers, in small letters: `--link back:db`.
        var links: [String: String] = [:]
        /// The servers that its questions go to (`--dns`); empty is the host's.
        var servers: [String] = []
    }

    enum Answer: Equatable {
        case addresses([IPAddress])
        case name(String)
        /// The name is there, but has nothing of the kind.
        case nothing
        /// Nobody here has the name.
        case unknown
    }

    private struct State {
        /// By container, then by network.
        var endpoints: [String: [String: EndpointInfo]] = [:]
        /// Containers by network and name.
        var names: [String: [String: Set<String>]] = [:]
        var addresses: [String: [IPAddress: String]] = [:]
        var views: [String: View] = [:]
    }

    private let state = Mutex(State())

    /// Makes the names of an endpoint known, or says anew what is known.
    func add(_ endpoint: EndpointInfo) {
        state.withLock { state in
            Self.remove(endpoint.containerID, endpoint.networkID, &state)
            state.endpoints[endpoint.containerID, default: [:]][endpoint.networkID] = endpoint
            for name in endpoint.names {
                state.names[endpoint.networkID, default: [:]][name.lowercased(), default: []].insert(endpoint.containerID)
            }
            for address in endpoint.addresses { state.addresses[endpoint.networkID, default: [:]][address] = endpoint.containerID }
        }
    }

    func remove(_ endpoint: EndpointInfo) {
        state.withLock { Self.remove(endpoint.containerID, endpoint.networkID, &$0) }
    }

    private static func remove(_ containerID: String, _ networkID: String, _ state: inout State) {
        guard let old = state.endpoints[containerID]?.removeValue(forKey: networkID) else { return }
        if state.endpoints[containerID]?.isEmpty == true { state.endpoints[containerID] = nil }
        for name in old.names.map({ $0.lowercased() }) {
            state.names[networkID]?[name]?.remove(containerID)
            if state.names[networkID]?[name]?.isEmpty == true { state.names[networkID]?[name] = nil }
        }
        for address in old.addresses where state.addresses[networkID]?[address] == containerID {
            state.addresses[networkID]?[address] = nil
        }
        if state.names[networkID]?.isEmpty == true { state.names[networkID] = nil }
        if state.addresses[networkID]?.isEmpty == true { state.addresses[networkID] = nil }
    }

    func setView(_ view: View?, of containerID: String) {
        state.withLock { $0.views[containerID] = view }
    }

    /// Where the questions of a container go that nobody here can answer; nil when they must not leave.
    func servers(for containerID: String) -> [String]? {
        state.withLock { state in
            let endpoints = state.endpoints[containerID] ?? [:]
            guard endpoints.values.contains(where: { !$0.isInternal }) else { return nil }
            return state.views[containerID]?.servers ?? []
        }
    }

    /// What a container hears about a name or, for `PTR`, about an address. Other types of records exist for nobody here.
    func answer(_ name: DNSName, type: UInt16, for containerID: String) -> Answer {
        state.withLock { state in
            let endpoints = (state.endpoints[containerID] ?? [:]).values.sorted { first, second in
                (first.isGateway ? 0 : 1, first.networkName) < (second.isGateway ? 0 : 1, second.networkName)
            }
            if let address = name.reverseAddress { return Self.holder(of: address, type, endpoints, state) }
            let text = name.description
            let found = Self.addresses(text, endpoints, containerID, state)
            guard let found else { return .unknown }
            let wanted = found.filter {
                type == DNSType.any || $0.isV4 && type == DNSType.a || !$0.isV4 && type == DNSType.aaaa
            }
            return wanted.isEmpty ? .nothing : .addresses(wanted.shuffled())
        }
    }

    private static func addresses(
        _ name: String, _ endpoints: [EndpointInfo], _ containerID: String, _ state: State
    ) -> [IPAddress]? {
        if let target = state.views[containerID]?.links[name], let found = shared(target, endpoints, state) { return found }
        if let found = shared(name, endpoints, state) { return found }
        // `web.net`: the name with that of its network.
        for endpoint in endpoints where name.hasSuffix("." + endpoint.networkName.lowercased()) {
            let front = String(name.dropLast(endpoint.networkName.count + 1))
            if let found = shared(front, [endpoint], state) { return found }
        }
        guard name == "host.docker.internal" || name == "gateway.docker.internal",
            let gateway = endpoints.first(where: { $0.isGateway && !$0.isInternal })
        else { return nil }
        return [gateway.ipv4Gateway, gateway.ipv6Gateway].compactMap { IPAddress($0) }
    }

    private static func shared(_ name: String, _ endpoints: [EndpointInfo], _ state: State) -> [IPAddress]? {
        for endpoint in endpoints {
            guard let holders = state.names[endpoint.networkID]?[name.lowercased()] else { continue }
            return holders.flatMap { state.endpoints[$0]?[endpoint.networkID]?.addresses ?? [] }
        }
        return nil
    }

    private static func holder(of address: IPAddress, _ type: UInt16, _ endpoints: [EndpointInfo], _ state: State) -> Answer {
        for endpoint in endpoints {
            guard let holder = state.addresses[endpoint.networkID]?[address],
                let name = state.endpoints[holder]?[endpoint.networkID]?.names.first
            else { continue }
            // A name may be longer than a message can say it.
            let whole = "\(name).\(endpoint.networkName)"
            return (type == DNSType.ptr || type == DNSType.any) && DNSName(whole).fits ? .name(whole) : .nothing
        }
        return .unknown
    }
}

extension EndpointInfo {
    var addresses: [IPAddress] { [ipv4, ipv6].compactMap { IPAddress($0) } }
}

extension DNSName {
    /// The address that `2.0.30.172.in-addr.arpa` or its like with 32 digits and `ip6.arpa` asks about.
    var reverseAddress: IPAddress? {
        guard labels.count >= 2, labels.last == Array("arpa".utf8) else { return nil }
        let parts = labels.dropLast(2).reversed().map { String(decoding: $0, as: UTF8.self) }
        switch labels[labels.count - 2] {
        case Array("in-addr".utf8):
            let bytes = parts.compactMap { UInt8($0) }
            return parts.count == 4 && bytes.count == 4 ? IPAddress(bytes: bytes) : nil
        case Array("ip6".utf8):
            let digits = parts.compactMap { $0.utf8.count == 1 ? UInt8($0, radix: 16) : nil }
            guard parts.count == 32, digits.count == 32 else { return nil }
            return IPAddress(bytes: stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
        default: return nil
        }
    }
}
