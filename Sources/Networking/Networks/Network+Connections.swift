import Linux
import Logging

/// What the kernel remembers of UDP, which has no end: whoever goes on sending is led to where its first packet went, for as long as
/// it sends.
extension Network {
    /// The next packet to what an endpoint publishes is looked at anew.
    func forgetConnections(_ endpoint: EndpointInfo) async {
        await forgetConnections(endpoint.ports, endpoint)
        let open = (endpoint.openPorts ?? []).filter { $0.proto == .udp }
        for address in endpoint.addresses {
            let ports = Set(open.filter { $0.hostAddress == address.family.everywhere }.flatMap(\.containerPorts))
            if ports.isEmpty { continue }
            await attempt(Self.failure, endpoint) { try ConnectionTracking.forgetUDP(to: address, ports: ports) }
        }
    }

    /// The same for ports of the host.
    func forgetConnections(_ published: [PublishedPort], _ endpoint: EndpointInfo) async {
        let ports = Set(published.filter { $0.proto == .udp }.flatMap(\.hostPorts))
        if ports.isEmpty { return }
        await attempt(Self.failure, endpoint) { try ConnectionTracking.forgetUDP(toOwnPorts: ports) }
    }

    // MARK: Those who had an address before

    /// From then on others may have the addresses of an endpoint that has ended.
    func noteFormer(_ endpoint: EndpointInfo) async {
        // Only bridges are a matter of the host's.
        guard definition.isBridge else { return }
        for address in endpoint.addresses { former[address] = endpoint.endpointID }
        if former.count > Self.mostFormer { await forgetFormer() }
    }

    /// An endpoint gets nothing of what still comes for those who had its addresses before it, or comes as an answer to them. Asked for
    /// when it is needed, which is seldom: addresses go round.
    func forgetPredecessors(of endpoint: EndpointInfo) async {
        let own = endpoint.addresses
        await forget(former.filter { own.contains($0.key) })
    }

    func forgetFormer() async { await forget(former) }

    private func forget(_ meant: [IPAddress: String]) async {
        if meant.isEmpty { return }
        do {
            try await parts.host.run { try ConnectionTracking.forgetUDP { meant[$0] != nil } }
        } catch {
            parts.logger.error(Self.failure, metadata: ["network": "\(name)", "error": "\(error)"])
        }
        // Not those that somebody has had meanwhile.
        for (address, endpointID) in meant where former[address] == endpointID { former[address] = nil }
    }

    private static let mostFormer = 1024
    fileprivate static var failure: Logger.Message { "old UDP connections could not be forgotten" }
}

extension Networks {
    /// The same for all that ended while there was no engine.
    func forgetFormer(but endpoints: [EndpointInfo]) async {
        let subnets = claims.values.filter(\.isBridge).flatMap(\.subnets)
        let present = Set(endpoints.flatMap(\.addresses) + subnets.map(\.gateway))
        do {
            try await host.run {
                try ConnectionTracking.forgetUDP { address in !present.contains(address) && subnets.contains { $0.prefix.contains(address) } }
            }
        } catch {
            logger.error(Network.failure, metadata: ["error": "\(error)"])
        }
    }
}
