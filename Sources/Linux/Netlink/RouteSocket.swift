/// Links, addresses and routes of one network namespace (rtnetlink(7)): the one of the thread that made this value.
public struct RouteSocket: ~Copyable, Sendable {
    var socket: NetlinkSocket

    public init() throws(SystemError) {
        socket = try NetlinkSocket(.route)
    }

    enum Message {
        static let newLink: UInt16 = 16
        static let deleteLink: UInt16 = 17
        static let getLink: UInt16 = 18
        static let newAddress: UInt16 = 20
        static let deleteAddress: UInt16 = 21
        static let getAddress: UInt16 = 22
        static let newRoute: UInt16 = 24
        static let deleteRoute: UInt16 = 25
        static let getRoute: UInt16 = 26
        static let newNeighbour: UInt16 = 28
        static let newRule: UInt16 = 32
        static let deleteRule: UInt16 = 33
    }
}
