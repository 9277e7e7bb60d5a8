import CLinux
import Glibc
import SystemPackage

/// Hears what changes in a network namespace: that of the thread that made this value.
public struct NetlinkListener: Sendable {
    public enum Group: Sendable, Hashable {
        /// Network devices that come, change and go.
        case links
        /// Routes of both families.
        case routes
        /// Tables, chains, rules, sets and elements of nf_tables.
        case nftables

        fileprivate var family: Int32 { self == .nftables ? 12 : 0 }
        fileprivate var numbers: [Int32] {
            switch self {
            case .links: [1]
            case .routes: [7, 11]
            case .nftables: [7]
            }
        }
    }

    private let descriptor: SharedFD
    private let group: Group

    /// Readable when something has changed. Valid as long as a copy of this value lives.
    public var raw: Int32 { descriptor.raw }

    public init(_ group: Group) throws(SystemError) {
        let kind = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = try check("socket", "netlink") { socket(AF_NETLINK, kind, group.family) }
        descriptor = SharedFD(OwnedFD(adopting: raw))
        self.group = group
        // `struct sockaddr_nl`, all of the kernel's choice. Without a number of its own a socket hears nothing of what the
        // kernel does by itself.
        var name: [UInt32] = [UInt32(AF_NETLINK), 0, 0]
        try check("bind", "netlink") {
            name.withUnsafeMutableBytes {
                $0.withMemoryRebound(to: sockaddr.self) {
                    bind(raw, __CONST_SOCKADDR_ARG(__sockaddr__: $0.baseAddress), 12)
                }
            }
        }
        let (netlinkLevel, addMembership): (Int32, Int32) = (270, 1)
        for var number in group.numbers {
            try check("setsockopt", "NETLINK_ADD_MEMBERSHIP") {
                setsockopt(raw, netlinkLevel, addMembership, &number, socklen_t(MemoryLayout<Int32>.size))
            }
        }
    }

    /// What has happened.
    public enum Change: Sendable, Hashable {
        /// A device of that name is gone.
        case linkRemoved(String)
        /// A device that is there, new or otherwise than before; one of software has a kind.
        case linkSeen(UInt32, name: String, kind: String)
        /// A route through somebody, or a default route, that leads on by a device; whether it took the place of another one.
        case routeSeen(link: UInt32, isDefault: Bool, replaces: Bool)
        /// One that did.
        case routeGone(link: UInt32, isDefault: Bool)
        /// Something of the table is gone, by the doing of the socket with that port.
        case tableDamaged(String, port: UInt32)
        /// Something has changed in iptables' own table for filters, by the doing of the socket with that port.
        case filtersChanged(port: UInt32)
        /// More has happened than the kernel could keep for us.
        case overrun(Group)
    }

    /// No more messages of the kernel's are read at once.
    public static let longestTurn = 64

    /// What has happened since the last call, each change once: as much of it as one call reads. The descriptor stays readable when
    /// there is more.
    public func changes() throws(SystemError) -> Set<Change> {
        var changes: Set<Change> = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        for _ in 0..<Self.longestTurn {
            do {
                guard let count = try receive(&buffer) else { break }
                for reply in try NetlinkReply.parse(Array(buffer[..<count])) { changes.formUnion(try self.changes(reply)) }
            } catch {
                guard error.errno == .noBufferSpace else { throw error }
                changes.insert(.overrun(group))
            }
        }
        return changes
    }

    private func receive(_ buffer: inout [UInt8]) throws(SystemError) -> Int? {
        let (raw, size) = (raw, buffer.count)
        do {
            return try check("recv", "netlink") { recv(raw, &buffer, size, 0) }
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    private func changes(_ reply: NetlinkReply) throws(SystemError) -> [Change] {
        switch group {
        case .links: try linkChange(reply).map { [$0] } ?? []
        case .routes: try Self.routeChanges(reply)
        case .nftables: try tableChange(reply).map { [$0] } ?? []
        }
    }

    /// One for each way of a route that leads on.
    static func routeChanges(_ reply: NetlinkReply) throws(SystemError) -> [Change] {
        let isNew = reply.type == RouteSocket.Message.newRoute
        guard isNew || reply.type == RouteSocket.Message.deleteRoute, let family = reply.payload.first.flatMap(AddressFamily.init) else { return [] }
        return try Route.all(reply, family).filter { $0.isDefault || $0.gateway != nil }.map { route in
            if isNew { return .routeSeen(link: route.link, isDefault: route.isDefault, replaces: reply.flags.contains(.replace)) }
            return .routeGone(link: route.link, isDefault: route.isDefault)
        }
    }

    private func tableChange(_ reply: NetlinkReply) throws(SystemError) -> Change? {
        // Families 2 and 10 are IPv4 and IPv6.
        if reply.type >> 8 == 10, reply.type & 0xff <= 8, let family = reply.payload.first, family == 2 || family == 10,
            try reply.attributes(after: 4).string(1) == "filter"
        {
            return .filtersChanged(port: reply.port)
        }
        // Every removal has an odd place after its "new" and "get": table 2, chain 5, rule 8, set 11, element 14.
        guard reply.type >> 8 == 10, (reply.type & 0xff) % 3 == 2, reply.type & 0xff <= 14,
            let table = try reply.attributes(after: 4).string(1)
        else { return nil }
        return .tableDamaged(table, port: reply.port)
    }

    private func linkChange(_ reply: NetlinkReply) throws(SystemError) -> Change? {
        // What a bridge says of its ports (AF_BRIDGE) is no news of devices, and does not say of which kind they are.
        guard reply.payload.first == 0 else { return nil }
        switch reply.type {
        case RouteSocket.Message.newLink:
            let link = try Link(reply)
            return .linkSeen(link.index, name: link.name, kind: link.kind)
        case RouteSocket.Message.deleteLink: return .linkRemoved(try Link(reply).name)
        default: return nil
        }
    }
}
