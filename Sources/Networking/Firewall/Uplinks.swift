import Linux

/// The devices that lead out of the host: real ones, and those with a default route or one through somebody else. Bridges are
/// mostly other people's networks, where somebody may pass things on as well: they need a default route.
struct Uplinks: Sendable {
    private struct Device {
        let name: String
        let isReal: Bool
    }

    /// By their index.
    private var devices: [UInt32: Device] = [:]
    /// What leads nowhere, whatever routes there are through somebody.
    private var bridges: Set<UInt32> = []
    /// What leads nowhere at all.
    private var own: Set<UInt32> = []

    var names: [String] { devices.values.map(\.name).sorted() }

    init() {}

    /// `own` are the names of the engine's devices.
    init(_ links: [Link], ways: WaysOn, own names: Set<String> = []) {
        for link in links {
            let isReal = link.kind.isEmpty && link.name != "lo"
            let isBridge = link.kind == "bridge"
            let leadsOn = ways.everywhere.contains(link.index) || !isBridge && ways.throughSomebody.contains(link.index)
            if names.contains(link.name) || InputLoop.isDevice(link) {
                own.insert(link.index)
            } else if isReal || leadsOn {
                devices[link.index] = Device(name: link.name, isReal: isReal)
            } else if isBridge {
                bridges.insert(link.index)
            }
        }
    }

    /// Those of the calling thread's network namespace. Blocks.
    static func read(own names: Set<String> = []) throws -> Uplinks {
        var socket = try RouteSocket()
        let ways = try socket.waysOn()
        return Uplinks(try socket.links(), ways: ways, own: names)
    }

    /// Whether others may lead out after that change. Most changes are containers' devices and routes by known devices, and no
    /// reason to look again.
    func mayMove(_ change: NetlinkListener.Change) -> Bool {
        switch change {
        // A device of software loses its routes without a word when it goes down.
        case .linkSeen(let link, let name, let kind): kind.isEmpty && name != "lo" ? devices[link]?.name != name : devices[link] != nil
        case .linkRemoved(let name): devices.values.contains { $0.name == name }
        case .routeSeen(let link, let isDefault, let replaces):
            // Nothing is said of the route that it took the place of.
            isNew(link, isDefault) || isDefault && replaces && devices.contains { $0.key != link && !$0.value.isReal }
        case .routeGone(let link, _): devices[link]?.isReal == false
        case .tableDamaged, .filtersChanged, .overrun: false
        }
    }

    private func isNew(_ link: UInt32, _ isDefault: Bool) -> Bool {
        devices[link] == nil && !own.contains(link) && (isDefault || !bridges.contains(link))
    }

    /// Whether a change may be newer than what is just being read: any but those of containers' devices.
    static func mayBeMissed(_ change: NetlinkListener.Change) -> Bool {
        switch change {
        case .linkSeen(_, let name, _), .linkRemoved(let name): !name.hasPrefix(EndpointLink.namePrefix)
        case .routeSeen, .routeGone: true
        case .tableDamaged, .filtersChanged, .overrun: false
        }
    }
}
