/// The protocols that a table is for.
public enum NftFamily: UInt8, Sendable, Hashable, CustomStringConvertible {
    case any = 0
    case inet = 1
    case ipv4 = 2
    case arp = 3
    case netdev = 5
    case bridge = 7
    case ipv6 = 10

    /// As the `nft` program calls it.
    public var description: String {
        switch self {
        case .any: "any"
        case .inet: "inet"
        case .ipv4: "ip"
        case .arp: "arp"
        case .netdev: "netdev"
        case .bridge: "bridge"
        case .ipv6: "ip6"
        }
    }
}

/// A rule of somebody's table.
public struct NftRule: Sendable, Equatable {
    public let family: NftFamily
    public let table: String
    public let chain: String
    public let handle: UInt64
    /// What its maker wrote about it; empty where there is nothing.
    public let comment: String
    /// The name of the device that a packet has to leave by, and the one that it has to have come by, where the rule asks.
    public let outputName: String?
    public let inputName: String?

    /// Nil for what has no chain or is of an unknown family.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        let attributes = try reply.attributes(after: 4)
        guard let family = NftFamily(rawValue: reply.payload[0]), let table = attributes.string(1), let chain = attributes.string(2),
            let handle = attributes.bigEndian(3, as: UInt64.self)
        else { return nil }
        (self.family, self.table, self.chain, self.handle) = (family, table, chain, handle)
        comment = attributes.bytes(7).map(Self.comment) ?? ""
        let names = try attributes.nested(4).map { list throws(SystemError) in try Self.deviceNames(list) } ?? [:]
        outputName = names[NftExpression.MetaKey.outputName.rawValue]
        inputName = names[NftExpression.MetaKey.inputName.rawValue]
    }

    /// The names that `meta` loads and `cmp` compares right after.
    private static func deviceNames(_ list: NetlinkAttributes) throws(SystemError) -> [UInt32: String] {
        var names: [UInt32: String] = [:]
        var loaded: UInt32?
        for bytes in list.all(NftExpression.element) {
            let expression = try NetlinkAttributes(bytes)
            guard let data = try expression.nested(2) else { continue }
            switch expression.string(1) {
            case "meta": loaded = data.bigEndian(2, as: UInt32.self)
            case "cmp":
                if let key = loaded, let value = try data.nested(3)?.string(1) { names[key] = value }
                loaded = nil
            default: loaded = nil
            }
        }
        return names
    }

    /// A list of kind, length and data; a comment is of kind 0 and ends with a zero.
    static func userData(_ comment: String) -> [UInt8] {
        let text = Array(comment.utf8.prefix(250)) + [0]
        return [0, UInt8(text.count)] + text
    }

    private static func comment(_ data: ArraySlice<UInt8>) -> String {
        var rest = data
        while let kind = rest.popFirst(), let length = rest.popFirst(), rest.count >= Int(length) {
            if kind == 0 { return String(decoding: rest.prefix(Int(length)).prefix { $0 != 0 }, as: UTF8.self) }
            rest = rest.dropFirst(Int(length))
        }
        return ""
    }
}

/// A chain that packets reach by themselves.
public struct NftBaseChain: Sendable, Equatable {
    public let family: NftFamily
    public let table: String
    public let name: String
    /// Where it meets them; the numbers are those of `NftHook.Point` for the families of IP.
    public let point: UInt32
    public let priority: Int32
    /// `filter`, `nat`, `route`
    public let kind: String
    /// What it does not decide is dropped.
    public let dropsByDefault: Bool

    /// Nil for chains that are reached by jumps.
    init?(_ reply: NetlinkReply) throws(SystemError) {
        let attributes = try reply.attributes(after: 4)
        guard let family = NftFamily(rawValue: reply.payload[0]), let table = attributes.string(1), let name = attributes.string(3),
            let hook = try attributes.nested(4), let point = hook.bigEndian(1, as: UInt32.self)
        else { return nil }
        (self.family, self.table, self.name, self.point) = (family, table, name, point)
        priority = hook.bigEndian(2, as: Int32.self) ?? 0
        kind = attributes.string(7) ?? ""
        dropsByDefault = attributes.bigEndian(5, as: UInt32.self) == 0
    }

    public func isAt(_ point: NftHook.Point) -> Bool { self.point == point.rawValue && [.inet, .ipv4, .ipv6].contains(family) }
}
