import Linux
import SystemPackage

/// What programs of the host have of its ports, asked of the kernel once for each protocol. Nothing is bound for it. Everything
/// here blocks.
struct PortUse {
    private var known: [TransportProtocol: [OpenPort]?] = [:]

    /// Throws for the first port of a run that somebody has, and for an address that is none of the host's.
    mutating func check(_ run: PublishedPort, _ addresses: [IPAddress]) throws {
        for address in addresses where !address.isUnspecified {
            // Any port tells whether the address is here.
            _ = try HeldSocket(address, 0, run.proto)
        }
        guard let open = try open(run.proto) else {
            for port in run.hostPorts { _ = try HeldSocket.all(addresses, port, run.proto) }
            return
        }
        let candidates = open.filter { run.hostPorts.contains($0.port) }.sorted { $0.port < $1.port }
        for candidate in candidates {
            guard let address = addresses.first(where: candidate.takes) else { continue }
            throw NetworkError.cannotBind(
                address: address.description, port: candidate.port, proto: run.proto, reason: HeldSocket.text(.addressInUse))
        }
    }

    /// Whether somebody has the port at any address.
    mutating func holds(_ port: UInt16, _ proto: TransportProtocol) throws -> Bool {
        if let open = try open(proto) { return open.contains { $0.port == port } }
        for text in ["0.0.0.0", "::"] {
            guard let address = IPAddress(text) else { continue }
            do throws(SystemError) {
                _ = try BoundSocket(address, port: port, proto.transport)
            } catch {
                // Everything else means a family or protocol that the host does not have.
                if error.errno == .addressInUse { return true }
            }
        }
        return false
    }

    /// Nil where the kernel cannot tell.
    private mutating func open(_ proto: TransportProtocol) throws -> [OpenPort]? {
        if let known = known[proto] { return known }
        let open: [OpenPort]?
        do throws(SystemError) {
            open = try SocketDiagnostics.openPorts(proto.transport)
        } catch {
            // Without a module for SCTP there is mostly no SCTP either, and what cannot be bound is nobody's.
            guard error.errno == .noSuchFileOrDirectory || error.errno == .invalidArgument else { throw error }
            open = nil
        }
        known.updateValue(open, forKey: proto)
        return open
    }
}

extension OpenPort {
    /// Whether nobody else can have the port at an address.
    func takes(_ other: IPAddress) -> Bool {
        if address.isV4 == other.isV4 { return address == other || address.isUnspecified || other.isUnspecified }
        return isOfBothFamilies && (address.isUnspecified || other.isUnspecified)
    }
}
