import Linux

/// The devices that lead out of the host: real ones, and those with a route through somebody else.
struct Uplinks: Sendable {
    private struct Device {
        let name: String
        let isReal: Bool
    }

    /// By their index.
    private var devices: [UInt32: Device] = [:]

    var names: [String] { devices.values.map(\.name).sorted() }

    init() {}

    /// `leading` are the devices that have a route through somebody.
    init(_ links: [Link], leading: Set<UInt32>) {
        for link in links {
            let isReal = link.kind.isEmpty && link.name != "lo"
            if isReal || leading.contains(link.index) { devices[link.index] = Device(name: link.name, isReal: isReal) }
        }
    }

    /// Those of the calling thread's network namespace. Blocks.
    static func read() throws -> Uplinks {
        var socket = try RouteSocket()
        var leading: Set<UInt32> = []
        for family in AddressFamily.allCases { leading.formUnion(try socket.routes(family).filter { $0.gateway != nil }.map(\.link)) }
        return Uplinks(try socket.links(), leading: leading)
    }

    /// Whether others may lead out after that change. Most changes are containers' devices and routes by known devices, and no
    /// reason to look again.
    func mayMove(_ change: NetlinkListener.Change) -> Bool {
        switch change {
        // A device of software loses its routes without a word when it goes down.
        case .linkSeen(let link, let name, let kind): kind.isEmpty && name != "lo" ? devices[link]?.name != name : devices[link] != nil
        case .linkRemoved(let name): devices.values.contains { $0.name == name }
        case .gatewaySeen(let link): devices[link] == nil
        case .gatewayGone(let link): devices[link]?.isReal == false
        default: false
        }
    }
}
