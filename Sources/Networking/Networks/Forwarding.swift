import Linux

/// Lets the host pass packets on between its devices, where it does not do so yet. It stays on afterwards, as others may
/// have come to need it.
enum Forwarding {
    private static let ipv4 = "ipv4/ip_forward"
    private static let ipv6 = "ipv6/conf/all/forwarding"

    static func enable(withIPv6: Bool) throws {
        if try NetworkSettings.read(ipv4) == 0 { try NetworkSettings.write(ipv4, 1) }
        guard withIPv6, try NetworkSettings.read(ipv6) == 0 else { return }
        try keepAdvertisedRoutes()
        try NetworkSettings.write(ipv6, 1)
    }

    /// A host that forwards stops listening to routers, and would lose the default route that it got from one, unless
    /// its device says 2 ("all the same") instead of 1.
    private static func keepAdvertisedRoutes() throws {
        var socket = try RouteSocket()
        let routes = try socket.routes(.v6)
        let uplinks = Set(routes.filter { $0.isDefault && $0.isFromAdvertisement }.map(\.link))
        for link in try socket.links() where uplinks.contains(link.index) {
            let setting = "ipv6/conf/\(link.name)/accept_ra"
            if try NetworkSettings.read(setting) == 1 { try NetworkSettings.write(setting, 2) }
        }
    }
}
