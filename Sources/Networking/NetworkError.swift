/// What a caller of `Networks` may have to tell apart. The texts are Docker's where Docker has one.
public enum NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another container of this engine has the port.
    case portAllocated(address: String, port: UInt16, holder: String)
    /// Another program has the port, or the address is none of the host's, or the like.
    case cannotBind(address: String, port: UInt16, proto: TransportProtocol, reason: String)
    case noFreePort
    case noFreeAddress(network: String)
    case noFreeSubnet
    case invalidAddress(String)
    case addressInUse
    case alreadyConnected(containerID: String)
    case notReserved(containerID: String)
    /// A request that cannot be kept, and how it is to be told.
    case refused(Kind, String)
    /// A firewall, a bridge or a namespace is not what it has to be.
    case unexpected(String)

    public enum Kind: Sendable {
        case invalid
        case forbidden
        case conflict
        case notFound
        case notAvailable
    }

    public var description: String {
        switch self {
        case .portAllocated(let address, let port, _):
            "Bind for \(joined(address, port)) failed: port is already allocated"
        case .cannotBind(let address, let port, let proto, let reason):
            "failed to bind host port \(joined(address, port))/\(proto.rawValue): \(reason)"
        case .noFreePort: "no free host port left"
        case .noFreeAddress(let network): "no available IPv4 addresses on network \(network)"
        case .noFreeSubnet: "all predefined address pools have been fully subnetted"
        case .invalidAddress(let text): "invalid IP address: \(text)"
        case .addressInUse: "Address already in use"
        case .alreadyConnected(let id): "container \(id) is already connected to a network"
        case .notReserved(let id): "container \(id) has no endpoint"
        case .refused(_, let text): text
        case .unexpected(let text): text
        }
    }

    private func joined(_ address: String, _ port: UInt16) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
