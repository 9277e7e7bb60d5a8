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
            let held =
                port.hostPort == 0
                ? try choose(addresses, port.proto, isFree: isFree)
                : try addresses.map { try HeldSocket($0, port.hostPort, port.proto) }
            var result = port
            result.hostPort = held.first?.port ?? port.hostPort
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
    private let socket: BoundSocket

    init(_ address: IPAddress, _ port: UInt16, _ proto: TransportProtocol) throws {
        do {
            socket = try BoundSocket(address, port: port, proto.transport)
        } catch {
            throw NetworkError.cannotBind(
                address: address.description, port: port, proto: proto, reason: Self.text(error.errno))
        }
    }

    var port: UInt16 { socket.port }

    /// As Go prints it, which is what Docker's users see.
    private static func text(_ errno: Errno) -> String {
        switch errno {
        case .addressNotAvailable: "cannot assign requested address"
        default: errno.description.prefix(1).lowercased() + errno.description.dropFirst()
        }
    }
}
