import Linux
import Synchronization

/// Which container has which ports of the host, over all networks. A claim comes first and waits for nobody, so that no
/// two containers get the same; then the ports are held, so that no other program takes them.
final class PortClaims: Sendable {
    private struct Claim {
        var bindings: [HostBinding]
        var held: HeldPorts?
    }

    private let claims = Mutex<[String: Claim]>([:])
    private let host: Host

    init(host: Host) {
        self.host = host
    }

    /// Takes the ports besides those that the container has, all or none; those with a number of their own choice among
    /// them. The ports with what was chosen.
    func take(_ ports: [PublishedPort], for containerID: String, withIPv6: Bool) async throws -> [PublishedPort] {
        if ports.isEmpty { return [] }
        let wanted = try claim(ports, for: containerID, withIPv6)
        do {
            let held = try await host.run { [self] in
                try HeldPorts.take(ports, withIPv6: withIPv6) { self.isFree($0) }
            }
            let bindings = try held.ports.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }
            claims.withLock { claims in
                var claim = claims[containerID] ?? Claim(bindings: [])
                claim.bindings = claim.bindings.filter { !wanted.contains($0) } + bindings
                claim.held = held.joined(with: claim.held)
                claims[containerID] = claim
            }
            return held.ports
        } catch {
            giveBack(wanted, of: containerID)
            throw error
        }
    }

    /// Gives some of a container's ports back.
    func giveBack(_ ports: [PublishedPort], of containerID: String, withIPv6: Bool) throws {
        giveBack(Set(try ports.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }), of: containerID, Set(ports))
    }

    /// Ports that stay those of the host, and lead to others of the container.
    func rename(_ ports: [PublishedPort: PublishedPort], of containerID: String) {
        claims.withLock { claims in
            if let held = claims[containerID]?.held { claims[containerID]?.held = held.renamed(ports) }
        }
    }

    private func giveBack(_ bindings: Set<HostBinding>, of containerID: String, _ ports: Set<PublishedPort> = []) {
        // Closed outside the lock.
        _ = claims.withLock { claims in
            guard var claim = claims[containerID] else { return nil as HeldPorts? }
            let before = claim.held
            claim.bindings.removeAll(where: bindings.contains)
            if !ports.isEmpty { claim.held = before?.without(ports) }
            claims[containerID] = claim.bindings.isEmpty ? nil : claim
            return before
        }
    }

    private func claim(_ ports: [PublishedPort], for containerID: String, _ withIPv6: Bool) throws -> Set<HostBinding> {
        let wanted = try ports.filter { $0.hostPort != 0 && $0.lastHostPort == 0 }.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }
        if wanted.isEmpty { return [] }
        try claims.withLock { claims in
            var taken: [HostBinding.Key: [(binding: HostBinding, holder: String)]] = [:]
            for (holder, claim) in claims {
                for binding in claim.bindings { taken[binding.key, default: []].append((binding, holder)) }
            }
            for binding in wanted {
                if let other = taken[binding.key]?.first(where: { $0.binding.conflicts(with: binding) }) {
                    throw NetworkError.portAllocated(
                        address: binding.address.description, port: binding.port, holder: other.holder)
                }
                taken[binding.key, default: []].append((binding, containerID))
            }
            claims[containerID, default: Claim(bindings: [])].bindings += wanted
        }
        return Set(wanted)
    }

    private func isFree(_ binding: HostBinding) -> Bool { holders(of: binding).isEmpty }

    /// Who has ports that would get the same packets.
    func holders(of binding: HostBinding) -> Set<String> {
        claims.withLock { claims in Set(claims.filter { $0.value.bindings.contains(where: binding.conflicts) }.keys) }
    }

    /// Notes ports that the database names; `retake` holds them.
    func restore(_ ports: [PublishedPort], for containerID: String, withIPv6: Bool) throws {
        let bindings = try ports.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }
        if !bindings.isEmpty { claims.withLock { $0[containerID] = Claim(bindings: bindings, held: nil) } }
    }

    /// Holds the ports of a running container again, as far as they can be had; why the others cannot.
    func retake(_ ports: [PublishedPort], for containerID: String, withIPv6: Bool) async throws -> [NetworkError] {
        guard claims.withLock({ $0[containerID] != nil && $0[containerID]?.held == nil }) else { return [] }
        let (held, failures) = try await host.run { HeldPorts.retake(ports, withIPv6: withIPv6) }
        claims.withLock { $0[containerID]?.held = held }
        return failures
    }

    func release(_ containerID: String) {
        // Closed outside the lock.
        _ = claims.withLock { $0.removeValue(forKey: containerID) }
    }
}

extension HostBinding {
    /// What two bindings that conflict have in common.
    struct Key: Hashable {
        let port: UInt16
        let proto: TransportProtocol
    }

    var key: Key { Key(port: port, proto: proto) }
}
