import SystemPackage

/// The nf_tables of one network namespace: that of the thread that made this value.
public struct NftSocket: ~Copyable, Sendable {
    private var socket: NetlinkSocket

    public init() throws(SystemError) {
        socket = try NetlinkSocket(.netfilter)
    }

    /// The number that the kernel knows the socket by; its changes carry it.
    public func port() throws(SystemError) -> UInt32 { try socket.port() }

    /// Makes all changes or none. Made again when another program's change came between.
    public mutating func commit(_ transaction: NftTransaction) throws(SystemError) {
        if transaction.isEmpty { return }
        for attempt in 1...Self.attempts {
            do {
                try socket.performBatch(
                    begin: .batch(.batchBegin), transaction.messages, end: .batch(.batchEnd),
                    purpose: "nft transaction on table \(transaction.table)")
                return
            } catch {
                guard error.errno == .resourceTemporarilyUnavailable || error.errno == Self.restart,
                    attempt < Self.attempts
                else { throw error }
            }
        }
    }

    /// The names of the chains with their number of rules; nil when there is no such table.
    public mutating func chains(table: String) throws(SystemError) -> [String: UInt32]? {
        guard try hasTable(table) else { return nil }
        var chains: [String: UInt32] = [:]
        for reply in try socket.dump(.nft(.getChain, [], "nft list chains")) {
            let attributes = try reply.attributes(after: 4)
            guard attributes.string(1) == table, let name = attributes.string(3) else { continue }
            chains[name] = 0
        }
        var message = NetlinkMessage.nft(.getRule, [], "nft list rules")
        message.put(1, table)
        for reply in try socket.dump(message) {
            let attributes = try reply.attributes(after: 4)
            guard attributes.string(1) == table, let name = attributes.string(2) else { continue }
            chains[name, default: 0] += 1
        }
        return chains
    }

    /// The chains of all tables that packets reach by themselves.
    public mutating func baseChains() throws(SystemError) -> [NftBaseChain] {
        var chains: [NftBaseChain] = []
        for reply in try socket.dump(.nft(.getChain, [], "nft list chains", .any)) {
            if let chain = try NftBaseChain(reply) { chains.append(chain) }
        }
        return chains
    }

    /// The rules of one chain, in their order.
    public mutating func rules(family: NftFamily, table: String, chain: String) throws(SystemError) -> [NftRule] {
        var message = NetlinkMessage.nft(.getRule, [], "nft list rules", family)
        message.put(1, table)
        message.put(2, chain)
        var rules: [NftRule] = []
        for reply in try socket.dump(message) {
            if let rule = try NftRule(reply), rule.table == table, rule.chain == chain { rules.append(rule) }
        }
        return rules
    }

    /// The elements of a set. An error when there is none of that name.
    public mutating func elements(table: String, set: String) throws(SystemError) -> [NftElement] {
        var message = NetlinkMessage.nft(.getElements, [], "nft list set \(set)")
        message.put(1, table)
        message.put(2, set)
        var elements: [NftElement] = []
        for reply in try socket.dump(message) {
            guard let list = try reply.attributes(after: 4).nested(3) else { continue }
            for bytes in list.all(NftExpression.element) {
                if let element = try NftElement(bytes) { elements.append(element) }
            }
        }
        return elements
    }

    public mutating func hasTable(_ table: String, _ family: NftFamily = .inet) throws(SystemError) -> Bool {
        var message = NetlinkMessage.nft(.getTable, [], "nft get table \(table)", family)
        message.put(1, table)
        do {
            return try !socket.query(message).isEmpty
        } catch {
            if error.errno == .noSuchFileOrDirectory { return false }
            throw error
        }
    }

    private static let attempts = 10
    private static let restart = Errno(rawValue: 85)  // ERESTART
}

/// The messages of nf_tables; the netlink type has the subsystem in its upper byte.
enum NftMessage: UInt16 {
    case newTable = 0
    case getTable = 1
    case deleteTable = 2
    case newChain = 3
    case getChain = 4
    case newRule = 6
    case getRule = 7
    case deleteRule = 8
    case newSet = 9
    case newElements = 12
    case getElements = 13
    case deleteElements = 14
}

extension NetlinkMessage {
    enum BatchMark: UInt16 {
        case batchBegin = 0x10
        case batchEnd = 0x11
    }

    private static let nftSubsystem: UInt16 = 10
    /// `struct nfgenmsg`: u8 family, u8 version, u16 resource (big endian).
    static func nft(
        _ type: NftMessage, _ flags: NetlinkFlags, _ purpose: String, _ family: NftFamily = .inet
    ) -> NetlinkMessage {
        NetlinkMessage(
            type: nftSubsystem << 8 | type.rawValue, flags: flags.union(.request), purpose: purpose,
            familyHeader: [family.rawValue, 0, 0, 0])
    }

    static func batch(_ mark: BatchMark) -> NetlinkMessage {
        NetlinkMessage(
            type: mark.rawValue, flags: .request, purpose: "nft batch",
            familyHeader: [0, 0] + nftSubsystem.bigEndianBytes)
    }
}
