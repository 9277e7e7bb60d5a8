import Linux
import SystemPackage

/// The host ports of one container, bound as long as this object lives, so that no other program takes them. The packets
/// never reach these sockets: the firewall redirects them before. The ports of a long run are only looked at, not bound: ten
/// thousand sockets would take a hundred times the memory of everything else about them.
final class HeldPorts: Sendable {
    private let held: [PublishedPort: [HeldSocket]]

    private init(_ held: [PublishedPort: [HeldSocket]]) {
        self.held = held
    }

    /// A longer run is not bound.
    static let longestBound = 128

    /// These and others.
    func joined(with others: HeldPorts?) -> HeldPorts { HeldPorts(held.merging(others?.held ?? [:]) { own, _ in own }) }

    /// All but these. The others are free once nobody holds the old value.
    func without(_ ports: Set<PublishedPort>) -> HeldPorts { HeldPorts(held.filter { !ports.contains($0.key) }) }

    func renamed(_ ports: [PublishedPort: PublishedPort]) -> HeldPorts {
        HeldPorts(Dictionary(held.map { (ports[$0] ?? $0, $1) }, uniquingKeysWith: { first, _ in first }))
    }

    /// Takes all ports or none; the ports with the chosen numbers. `isFree` is asked about ports that the kernel chose. Blocks
    /// for a moment.
    static func take(
        _ ports: [PublishedPort], withIPv6: Bool, isFree: @Sendable (HostBinding) -> Bool
    ) throws -> (ports: [PublishedPort], held: HeldPorts) {
        var taken: [PublishedPort] = []
        var held: [PublishedPort: [HeldSocket]] = [:]
        var use = PortUse()
        for port in ports {
            let addresses = try HostBinding.addresses(of: port, withIPv6: withIPv6)
            if port.count > 1 {
                taken.append(port)
                if port.count > longestBound { try use.check(port, addresses) } else { try hold(run: port, addresses, &held) }
                continue
            }
            let sockets = try hold(port, addresses, isFree: isFree)
            var result = port
            result.hostPort = sockets.first?.port ?? port.hostPort
            result.lastHostPort = 0
            taken.append(result)
            held[result] = sockets
        }
        return (taken, HeldPorts(held))
    }

    /// As many of the ports as can be had, and why the others cannot.
    static func retake(_ ports: [PublishedPort], withIPv6: Bool) -> (HeldPorts, [NetworkError]) {
        var held: [PublishedPort: [HeldSocket]] = [:]
        var failures: [NetworkError] = []
        var use = PortUse()
        for port in ports {
            do {
                let addresses = try HostBinding.addresses(of: port, withIPv6: withIPv6)
                if port.count > longestBound { try use.check(port, addresses) } else { try hold(run: port, addresses, &held) }
            } catch {
                failures.append(error as? NetworkError ?? .unexpected("\(error)"))
            }
        }
        return (HeldPorts(held), failures)
    }

    private static func hold(run: PublishedPort, _ addresses: [IPAddress], _ held: inout [PublishedPort: [HeldSocket]]) throws {
        for port in run.hostPorts { held[run.single(port)] = try HeldSocket.all(addresses, port, run.proto) }
    }

    private static func hold(
        _ port: PublishedPort, _ addresses: [IPAddress], isFree: (HostBinding) -> Bool
    ) throws -> [HeldSocket] {
        if port.hostPort == 0 { return try choose(addresses, port.proto, isFree: isFree) }
        guard port.lastHostPort > port.hostPort else {
            return try HeldSocket.all(addresses, port.hostPort, port.proto)
        }
        for number in port.hostPort...port.lastHostPort {
            guard addresses.allSatisfy({ isFree(HostBinding(address: $0, port: number, proto: port.proto)) }) else { continue }
            do {
                return try HeldSocket.all(addresses, number, port.proto)
            } catch NetworkError.cannotBind {
                continue  // Somebody else's; the next of the range may be free.
            }
        }
        throw NetworkError.portAllocated(address: addresses[0].description, port: port.lastHostPort, holder: "")
    }

    private static let attempts = 64

    /// A port that is free at all addresses: the kernel chooses at the first, the others have to agree.
    private static func choose(
        _ addresses: [IPAddress], _ proto: TransportProtocol, isFree: (HostBinding) -> Bool
    ) throws -> [HeldSocket] {
        guard let first = addresses.first else { return [] }
        for _ in 0..<attempts {
            if let both = HeldSocket.atAllAddresses(addresses, 0, proto) {
                if addresses.allSatisfy({ isFree(HostBinding(address: $0, port: both.port, proto: proto)) }) { return [both] }
                continue
            }
            let socket = try HeldSocket(first, 0, proto)
            let bindings = addresses.map { HostBinding(address: $0, port: socket.port, proto: proto) }
            guard bindings.allSatisfy(isFree) else { continue }
            do {
                return try [socket] + addresses.dropFirst().map { try HeldSocket($0, socket.port, proto) }
            } catch NetworkError.cannotBind {
                continue  // Taken at another address; the next number may be better.
            }
        }
        throw NetworkError.noFreePort
    }
}

/// A bound socket in a place that cannot hold a value without copies.
final class HeldSocket: Sendable {
    private let socket: BoundSocket?
    let port: UInt16

    /// One socket where one takes the port everywhere: half of the descriptors and of the time.
    static func all(_ addresses: [IPAddress], _ port: UInt16, _ proto: TransportProtocol) throws -> [HeldSocket] {
        if let both = atAllAddresses(addresses, port, proto) { return [both] }
        return try addresses.map { try HeldSocket($0, port, proto) }
    }

    /// Nil where the addresses are not all of both families, or the port cannot be had; one socket for each tells why.
    static func atAllAddresses(_ addresses: [IPAddress], _ port: UInt16, _ proto: TransportProtocol) -> HeldSocket? {
        guard addresses.count == 2, addresses.allSatisfy(\.isUnspecified), let last = addresses.first(where: { !$0.isV4 }) else { return nil }
        // As said above.
        return try? HeldSocket(last, port, proto, ofBothFamilies: true)
    }

    init(_ address: IPAddress, _ port: UInt16, _ proto: TransportProtocol, ofBothFamilies: Bool = false) throws {
        do {
            let socket = try BoundSocket(address, port: port, proto.transport, ofBothFamilies: ofBothFamilies)
            self.port = socket.port
            self.socket = consume socket
        } catch  where proto == .sctp && Self.lacksProtocol.contains(error.errno) {
            // Where the kernel has no such sockets nobody can take the port; packets are redirected all the same.
            socket = nil
            self.port = port == 0 ? UInt16.random(in: 32768...60999) : port
        } catch {
            throw NetworkError.cannotBind(
                address: address.description, port: port, proto: proto, reason: Self.text(error.errno))
        }
    }

    private static let lacksProtocol: [Errno] = [.protocolNotSupported, .socketTypeNotSupported]

    /// As Go prints it, which is what Docker's users see.
    static func text(_ errno: Errno) -> String {
        switch errno {
        case .addressNotAvailable: "cannot assign requested address"
        default: errno.description.prefix(1).lowercased() + errno.description.dropFirst()
        }
    }
}
