import SystemPackage

/// Which routing table is looked at for packets with a mark, all of them or those that came in by a device (ip-rule(8),
/// `fwmark MARK iif INPUT lookup TABLE`). IPv4 only.
public struct MarkRule: Sendable, Equatable {
    public let mark: UInt32
    public let input: String?
    public let table: UInt32
    public let priority: UInt32

    /// The table of ordinary routes.
    public static let mainTable: UInt32 = 254

    public init(mark: UInt32, input: String? = nil, table: UInt32, priority: UInt32) {
        self.mark = mark
        self.input = input
        self.table = table
        self.priority = priority
    }
}

extension RouteSocket {
    /// Not an error when it is there.
    public mutating func addRule(_ rule: MarkRule) throws(SystemError) {
        do {
            try socket.perform(.rule(Message.newRule, [.create, .exclusive], rule))
        } catch {
            if error.errno != .fileExists { throw error }
        }
    }

    /// Not an error when there is none.
    public mutating func deleteRule(_ rule: MarkRule) throws(SystemError) {
        do {
            try socket.perform(.rule(Message.deleteRule, [], rule))
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }
        }
    }

    /// The only route of a table of its own: everything leaves by the device. Replaces one that is there.
    public mutating func setOnlyRoute(ofTable table: UInt32, link: UInt32) throws(SystemError) {
        let (boot, linkScope, unicast): (UInt8, UInt8, UInt8) = (3, 253, 1)
        var message = NetlinkMessage(
            type: Message.newRoute, flags: [.request, .create, .replace], purpose: "add route of table \(table)",
            // `struct rtmsg`; the table stands in an attribute.
            familyHeader: [AddressFamily.v4.rawValue, 0, 0, 0, 0, boot, linkScope, unicast, 0, 0, 0, 0])
        message.put(RouteAttribute.outputLink, link)
        message.put(RouteAttribute.table, table)
        try socket.perform(message)
    }
}

extension NetlinkMessage {
    /// `struct fib_rule_hdr`: u8 family, destination length, source length, tos, table, 2 bytes, action, u32 flags.
    fileprivate static func rule(_ type: UInt16, _ flags: NetlinkFlags, _ rule: MarkRule) -> NetlinkMessage {
        let lookUpTable: UInt8 = 1
        var message = NetlinkMessage(
            type: type, flags: flags.union(.request), purpose: "rule for mark \(rule.mark)",
            familyHeader: [AddressFamily.v4.rawValue, 0, 0, 0, 0, 0, 0, lookUpTable, 0, 0, 0, 0])
        if let input = rule.input { message.put(3, input) }
        message.put(6, rule.priority)
        message.put(10, rule.mark)
        message.put(15, rule.table)
        message.put(16, UInt32.max)
        return message
    }
}
