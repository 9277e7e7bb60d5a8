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
            let (taken, held) = try await host.run { [self] in
                try HeldPorts.take(ports, withIPv6: withIPv6) { self.isFree($0) }
            }
            let bindings = try taken.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }
            claims.withLock { claims in
                var claim = claims[containerID] ?? Claim(bindings: [])
                claim.bindings = claim.bindings.filter { !wanted.contains($0) } + bindings
                claim.held = held.joined(with: claim.held)
                claims[containerID] = claim
            }
            return taken
        } catch {
            giveBack(wanted, of: containerID)
            throw error
        }
    }

    /// Gives some of a container's ports back.
    func giveBack(_ ports: [PublishedPort], of containerID: String, withIPv6: Bool) throws {
        giveBack(Set(try ports.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }), of: containerID, Set(ports.unfolded))
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
            claim.bindings = claim.bindings.flatMap { $0.without(bindings) }
            if !ports.isEmpty { claim.held = before?.without(ports) }
            claims[containerID] = claim.bindings.isEmpty ? nil : claim
            return before
        }
    }

    private func claim(_ ports: [PublishedPort], for containerID: String, _ withIPv6: Bool) throws -> Set<HostBinding> {
        let wanted = try ports.filter { $0.hostPort != 0 && $0.lastHostPort == 0 }.flatMap { try HostBinding.all(of: $0, withIPv6: withIPv6) }
        if wanted.isEmpty { return [] }
        try claims.withLock { claims in
            var all = wanted.map { (binding: $0, holder: containerID, isNew: true) }
            for (holder, claim) in claims { all += claim.bindings.map { ($0, holder, false) } }
            all.sort { ($0.binding.port, $0.isNew ? 1 : 0) < ($1.binding.port, $1.isNew ? 1 : 0) }
            // Those that reach to the port that is looked at.
            var open: [(binding: HostBinding, holder: String, isNew: Bool)] = []
            for next in all {
                open.removeAll { $0.binding.last < next.binding.port }
                if let other = open.first(where: { ($0.isNew || next.isNew) && $0.binding.conflicts(with: next.binding) }) {
                    throw NetworkError.portAllocated(
                        address: (next.isNew ? next : other).binding.address.description, port: next.binding.port,
                        holder: (next.isNew ? other : next).holder)
                }
                open.append(next)
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
