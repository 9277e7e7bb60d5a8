import SystemPackage

/// A route to somewhere else, from the tables that are looked at for ordinary packets. One by several ways is several of these.
public struct Route: Sendable, Hashable {
    public let destination: IPPrefix
    public let link: UInt32
    public let gateway: IPAddress?
    public let priority: UInt32
    /// Learned from a router's advertisement (IPv6).
    public let isFromAdvertisement: Bool

    public var isDefault: Bool { destination.length == 0 }
}

/// The devices by which routes lead on.
public struct WaysOn: Sendable, Equatable {
    /// Those of default routes.
    public var everywhere: Set<UInt32> = []
    /// Those of routes through somebody, wherever to.
    public var throughSomebody: Set<UInt32> = []

    public init(everywhere: Set<UInt32> = [], throughSomebody: Set<UInt32> = []) {
        self.everywhere = everywhere
        self.throughSomebody = throughSomebody
    }

    mutating func note(_ route: Route) {
        if route.isDefault { everywhere.insert(route.link) }
        if route.gateway != nil { throughSomebody.insert(route.link) }
    }
}

public enum AddressFamily: UInt8, Sendable, CaseIterable {
    case v4 = 2
    case v6 = 10
}

extension RouteSocket {
    /// Adds a default route through the gateway; not an error when it is there.
    public mutating func addDefaultRoute(gateway: IPAddress, link: UInt32) throws(SystemError) {
        try socket.perform(.addDefaultRoute(gateway.family, gateway: gateway, link: link))
    }

    /// A default route straight out of a device, without a gateway.
    public mutating func addDefaultRoute(_ family: AddressFamily, link: UInt32) throws(SystemError) {
        try socket.perform(.addDefaultRoute(family, gateway: nil, link: link))
    }

    /// Removes the default route of the main table; not an error when there is none.
    public mutating func deleteDefaultRoute(_ family: AddressFamily) throws(SystemError) {
        do {
            try socket.perform(
                NetlinkMessage(
                    type: RouteSocket.Message.deleteRoute, flags: .request, purpose: "delete default route",
                    familyHeader: [
                        family.rawValue, 0, 0, 0, RouteConstant.mainTable, 0, RouteConstant.nowhere, 0, 0, 0, 0, 0,
                    ]))
        } catch {
            // No such route, or not even a table.
            if error.errno != .noSuchProcess, error.errno != .noSuchFileOrDirectory { throw error }
        }
    }

    /// The routes of all tables but the local one (the host's own addresses).
    public mutating func routes(_ family: AddressFamily) throws(SystemError) -> [Route] {
        var routes: [Route] = []
        for reply in try socket.dump(.listRoutes(family)) { routes += try Route.all(reply, family) }
        return routes
    }

    /// Where all of them lead, however many there are: none is kept.
    public mutating func waysOn() throws(SystemError) -> WaysOn {
        var ways = WaysOn()
        var failure: SystemError?
        for family in AddressFamily.allCases {
            _ = try socket.dump(.listRoutes(family)) { reply in
                do throws(SystemError) {
                    for route in try Route.all(reply, family) { ways.note(route) }
                } catch {
                    failure = error
                }
                return false
            }
        }
        if let failure { throw failure }
        return ways
    }
}

enum RouteAttribute {
    static let destination: UInt16 = 1
    static let outputLink: UInt16 = 4
    static let gateway: UInt16 = 5
    static let priority: UInt16 = 6
    static let ways: UInt16 = 9
    static let table: UInt16 = 15
    static let gatewayOfAnyFamily: UInt16 = 18
}

private enum RouteConstant {
    static let mainTable: UInt8 = 254
    static let localTable: UInt32 = 255
    static let unicast: UInt8 = 1
    /// The scope that matches any route when one is deleted.
    static let nowhere: UInt8 = 255
    /// The scope of what is reached without a gateway.
    static let link: UInt8 = 253
    /// Who made the route: somebody at boot; a router's advertisement.
    static let byBoot: UInt8 = 3
    static let byAdvertisement: UInt8 = 9
}

extension NetlinkMessage {
    fileprivate static func listRoutes(_ family: AddressFamily) -> NetlinkMessage {
        NetlinkMessage(
            type: RouteSocket.Message.getRoute, flags: .request, purpose: "list routes",
            familyHeader: [family.rawValue] + [UInt8](repeating: 0, count: 11))
    }

    /// `struct rtmsg`: u8 family, destination length, source length, tos, table, protocol, scope, type, u32 flags.
    static func addDefaultRoute(_ family: AddressFamily, gateway: IPAddress?, link: UInt32) -> NetlinkMessage {
        let scope = gateway == nil && family == .v4 ? RouteConstant.link : 0
        var message = NetlinkMessage(
            type: RouteSocket.Message.newRoute, flags: [.request, .create, .replace],
            purpose: "add default route through \(gateway?.description ?? "link \(link)")",
            familyHeader: [
                family.rawValue, 0, 0, 0, RouteConstant.mainTable, RouteConstant.byBoot, scope, RouteConstant.unicast, 0, 0,
                0, 0,
            ])
        if let gateway { message.put(RouteAttribute.gateway, gateway.bytes) }
        message.put(RouteAttribute.outputLink, link)
        return message
    }
}

extension Route {
    /// Each way of a unicast route; none for what is no such route.
    static func all(_ reply: NetlinkReply, _ family: AddressFamily) throws(SystemError) -> [Route] {
        let attributes = try reply.attributes(after: 12)
        let header = reply.payload
        let table = attributes.integer(RouteAttribute.table) ?? UInt32(header[4])
        let zero = [UInt8](repeating: 0, count: family == .v4 ? 4 : 16)
        guard header[0] == family.rawValue, header[7] == RouteConstant.unicast, table != RouteConstant.localTable,
            let address = IPAddress(bytes: attributes.bytes(RouteAttribute.destination) ?? zero[...]),
            let destination = IPPrefix(address, length: Int(header[1]))
        else { return [] }
        var ways = [(link: attributes.integer(RouteAttribute.outputLink, as: UInt32.self) ?? 0, gateway: gateway(attributes))]
        if let several = attributes.bytes(RouteAttribute.ways) { ways = try self.ways(several) }
        return ways.map { way in
            Route(
                destination: destination, link: way.link, gateway: way.gateway, priority: attributes.integer(RouteAttribute.priority) ?? 0,
                isFromAdvertisement: header[5] == RouteConstant.byAdvertisement)
        }
    }

    /// A list of `struct rtnexthop`: u16 length, u8 flags, u8 weight, u32 link, then attributes; each aligned to four bytes.
    private static func ways(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> [(link: UInt32, gateway: IPAddress?)] {
        var ways: [(link: UInt32, gateway: IPAddress?)] = []
        var rest = bytes
        while rest.count >= 8 {
            let start = rest.startIndex
            let length = Int(UInt16(nativeBytes: rest[start..<start + 2]))
            guard length >= 8, length <= rest.count else { throw SystemError(errno: .badMessage, call: "netlink") }
            let attributes = try NetlinkAttributes(rest[start + 8..<start + length])
            ways.append((UInt32(nativeBytes: rest[start + 4..<start + 8]), gateway(attributes)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return ways
    }

    /// An IPv4 route may lead through an address of IPv6 (`struct rtvia`: u16 family, the address).
    private static func gateway(_ attributes: NetlinkAttributes) -> IPAddress? {
        (attributes.bytes(RouteAttribute.gateway) ?? attributes.bytes(RouteAttribute.gatewayOfAnyFamily)?.dropFirst(2)).flatMap {
            IPAddress(bytes: $0)
        }
    }
}
