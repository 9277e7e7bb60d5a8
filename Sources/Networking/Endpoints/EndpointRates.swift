import Linux

/// The most that a container receives and sends by one of its devices, kept at the host's end of the cable, where the
/// container has no say. Everything here blocks.
///
/// ```
///               token bucket (in)
///   bridge ──────────────────────▶ vsk… ═══ eth0
///     ▲                             │ all that comes in
///     └──── isk… ◀──────────────────┘
///           token bucket (out)
/// ```
struct EndpointRates: Sendable {
    /// Names of the devices that what is sent goes through, one for each limited endpoint; the rest is that of the cable.
    static let namePrefix = "isk"

    let hostInterface: String
    let mtu: UInt32

    private var redirector: String { Self.redirector(of: hostInterface) }

    static func redirector(of hostInterface: String) -> String {
        namePrefix + hostInterface.dropFirst(EndpointLink.namePrefix.count)
    }

    /// Sets both limits as they have to be, in bytes per second; 0 is none.
    func apply(receiving: Int64, sending: Int64) throws {
        var socket = try RouteSocket()
        guard let cable = try socket.link(named: hostInterface) else {
            throw NetworkError.unexpected("network device \(hostInterface) is gone")
        }
        if receiving > 0 {
            try socket.limitRate(cable.index, RateLimit(bytesPerSecond: UInt64(receiving), mtu: mtu))
        } else {
            try socket.removeRateLimit(cable.index)
        }
        if sending > 0 {
            try limitSending(UInt64(sending), cable.index, &socket)
        } else {
            try socket.stopRedirecting(cable.index)
            try Self.remove(hostInterface)
        }
    }

    private func limitSending(_ rate: UInt64, _ cable: UInt32, _ socket: inout RouteSocket) throws {
        let limit = RateLimit(bytesPerSecond: rate, mtu: mtu)
        if try socket.link(named: redirector) == nil { try socket.createRedirector(redirector, mtu: mtu) }
        guard let made = try socket.link(named: redirector) else {
            throw NetworkError.unexpected("network device \(redirector) is gone")
        }
        try socket.limitRate(made.index, limit)
        // Again, since an engine that was killed may have come no further than to the device.
        try socket.redirectReceived(cable, through: made.index)
    }

    /// Removes what a limit of sending has made. Not an error when there is none.
    static func remove(_ hostInterface: String) throws {
        var socket = try RouteSocket()
        guard let link = try socket.link(named: redirector(of: hostInterface)), link.kind == "ifb" else { return }
        try socket.deleteLink(link.index)
    }

    /// Removes what belongs to cables that are gone, whoever made it.
    static func removeOrphans() throws {
        var socket = try RouteSocket()
        let links = try socket.links()
        let cables = Set(links.map(\.name))
        for link in links where link.kind == "ifb" && link.name.hasPrefix(namePrefix) {
            if !cables.contains(EndpointLink.namePrefix + link.name.dropFirst(namePrefix.count)) { try socket.deleteLink(link.index) }
        }
    }
}
