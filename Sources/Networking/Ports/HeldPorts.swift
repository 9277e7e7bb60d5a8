import Linux
import SystemPackage

/// The host ports of one container, bound as long as this object lives, so that no other program takes them. The packets
/// never reach these sockets: the firewall redirects them before.
final class HeldPorts: Sendable {
    /// The ports as they were asked for, with the chosen numbers.
    let ports: [PublishedPort]
    private let sockets: [HeldSocket]

    private init(ports: [PublishedPort], sockets: [HeldSocket]) {
        self.ports = ports
        self.sockets = sockets
    }

    /// Takes all ports or none. `isFree` is asked about ports that the kernel chose. Blocks for a moment.
    static func take(
        _ ports: [PublishedPort], withIPv6: Bool, isFree: @Sendable (HostBinding) -> Bool
    ) throws -> HeldPorts {
        var sockets: [HeldSocket] = []
        var chosen: [PublishedPort] = []
        for port in ports {
            let addresses = try HostBinding.addresses(of: port, withIPv6: withIPv6)
            let held = try hold(port, addresses, isFree: isFree)
            var result = port
            result.hostPort = held.first?.port ?? port.hostPort
            result.lastHostPort = 0
            chosen.append(result)
            sockets += held
        }
        return HeldPorts(ports: chosen, sockets: sockets)
    }

    /// As many of the ports as can be had, and why the others cannot.
    static func retake(_ ports: [PublishedPort], withIPv6: Bool) -> (HeldPorts, [NetworkError]) {
        var sockets: [HeldSocket] = []
        var failures: [NetworkError] = []
        for port in ports {
            do {
                for address in try HostBinding.addresses(of: port, withIPv6: withIPv6) {
                    sockets.append(try HeldSocket(address, port.hostPort, port.proto))
                }
            } catch {
                failures.append(error as? NetworkError ?? .unexpected("\(error)"))
            }
        }
        return (HeldPorts(ports: ports, sockets: sockets), failures)
    }

    private static func hold(
        _ port: PublishedPort, _ addresses: [IPAddress], isFree: (HostBinding) -> Bool
    ) throws -> [HeldSocket] {
        if port.hostPort == 0 { return try choose(addresses, port.proto, isFree: isFree) }
        guard port.lastHostPort > port.hostPort else {
            return try addresses.map { try HeldSocket($0, port.hostPort, port.proto) }
        }
        for number in port.hostPort...port.lastHostPort {
            guard addresses.allSatisfy({ isFree(HostBinding(address: $0, port: number, proto: port.proto)) }) else { continue }
            do {
                return try addresses.map { try HeldSocket($0, number, port.proto) }
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
private final class HeldSocket: Sendable {
    private let socket: BoundSocket?
    let port: UInt16

    init(_ address: IPAddress, _ port: UInt16, _ proto: TransportProtocol) throws {
        do {
            let socket = try BoundSocket(address, port: port, proto.transport)
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
    private static func text(_ errno: Errno) -> String {
        switch errno {
        case .addressNotAvailable: "cannot assign requested address"
        default: errno.description.prefix(1).lowercased() + errno.description.dropFirst()
        }
    }
}
