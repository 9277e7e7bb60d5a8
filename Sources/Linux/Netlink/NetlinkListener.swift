import CLinux
import Glibc
import SystemPackage

/// Hears what changes in a network namespace: that of the thread that made this value.
public struct NetlinkListener: Sendable {
    public enum Group: Sendable {
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

    /// What has happened since the last call.
    public enum Change: Sendable, Equatable {
        /// A device of that name is gone.
        case linkRemoved(String)
        /// A device that is there, new or otherwise than before; one of software has a kind.
        case linkSeen(UInt32, name: String, kind: String)
        /// A route through somebody that leads out by a device.
        case gatewaySeen(link: UInt32)
        /// A route through somebody that did.
        case gatewayGone(link: UInt32)
        /// Something of the table is gone, by the doing of the socket with that port.
        case tableDamaged(String, port: UInt32)
        /// Something has changed in iptables' own table for filters, by the doing of the socket with that port.
        case filtersChanged(port: UInt32)
        /// More has happened than the kernel could keep for us.
        case overrun(Group)
    }

    public func changes() throws(SystemError) -> [Change] {
        var changes: [Change] = []
        while true {
            do {
                guard let bytes = try receive() else { return changes }
                for reply in try NetlinkReply.parse(bytes) {
                    if let change = try change(reply) { changes.append(change) }
                }
            } catch {
                guard error.errno == .noBufferSpace else { throw error }
                changes.append(.overrun(group))
            }
        }
    }

    private func receive() throws(SystemError) -> [UInt8]? {
        let raw = raw
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let size = bytes.count
        do {
            let count = try check("recv", "netlink") { recv(raw, &bytes, size, 0) }
            bytes.removeLast(size - count)
            return bytes
        } catch {
            if error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    private func change(_ reply: NetlinkReply) throws(SystemError) -> Change? {
        switch group {
        case .links: return try linkChange(reply)
        case .routes:
            guard reply.type == RouteSocket.Message.newRoute || reply.type == RouteSocket.Message.deleteRoute else { return nil }
            let attributes = try reply.attributes(after: 12)
            guard attributes.bytes(RouteAttribute.gateway) != nil, let link = attributes.integer(RouteAttribute.outputLink, as: UInt32.self)
            else { return nil }
            return reply.type == RouteSocket.Message.newRoute ? .gatewaySeen(link: link) : .gatewayGone(link: link)
        case .nftables:
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
