/// Changes to one nf_tables table, of the family `inet` (both IPv4 and IPv6) unless another is named, made together or not
/// at all.
public struct NftTransaction: Sendable {
    public let table: String
    public let family: NftFamily
    /// The chains that the transaction adds, with the number of rules it adds to each.
    public private(set) var rulesByChain: [String: UInt32] = [:]
    private(set) var messages: [NetlinkMessage] = []
    private var nextSetID: UInt32 = 1

    /// One message holds at most this many elements, well below the 64 KiB of an attribute.
    private static let elementsPerMessage = 200

    public init(table: String, family: NftFamily = .inet) {
        self.table = table
        self.family = family
    }

    public var isEmpty: Bool { messages.isEmpty }

    /// Adds the table; nothing happens when it is there.
    public mutating func addTable(_ options: NftTableOptions = []) {
        add(.newTable, [.create], "add table \(table)") { [table] message in
            message.put(1, table)
            if !options.isEmpty { message.put(2, bigEndian: options.rawValue) }
        }
    }

    /// Deletes the table with everything in it. An error when there is none.
    public mutating func deleteTable() {
        add(.deleteTable, [], "delete table \(table)") { [table] in $0.put(1, table) }
    }

    /// Deletes the table, whether or not there is one.
    public mutating func clearTable() {
        // Adding first makes sure that deleting succeeds.
        addTable()
        deleteTable()
    }

    /// Makes the table anew in place of what there is, in one step. A protected one belongs to the socket that makes it.
    public mutating func replaceTable(isProtected: Bool) {
        clearTable()
        addTable(isProtected ? [.owned, .persistent] : [])
    }

    /// Adds a chain that is reached by jumps, or with a hook, that packets reach by themselves.
    public mutating func addChain(_ name: String, hook: NftHook? = nil) {
        rulesByChain[name, default: 0] += 0
        add(.newChain, [.create], "add chain \(name)") { [table] message in
            message.put(1, table)
            message.put(3, name)
            guard let hook else { return }
            message.nest(4) {
                $0.put(1, bigEndian: hook.point.rawValue)
                $0.put(2, bigEndian: hook.priority)
            }
            message.put(5, bigEndian: UInt32(hook.dropsByDefault ? 0 : 1))
            message.put(7, hook.kind.rawValue)
        }
    }

    /// Adds a rule at the end of the chain.
    public mutating func addRule(_ chain: String, _ expressions: [NftExpression]) {
        rulesByChain[chain, default: 0] += 1
        add(.newRule, [.create, .append], "add rule to \(chain)") { [table] message in
            message.put(1, table)
            message.put(2, chain)
            message.nest(4) { list in
                for expression in expressions { expression.write(to: &list) }
            }
        }
    }

    /// Adds a rule behind those of others, with a text that tells whose it is.
    public mutating func appendRule(_ chain: String, _ expressions: [NftExpression], comment: String) {
        add(.newRule, [.create, .append], "add rule to \(chain)") { [table] message in
            message.put(1, table)
            message.put(2, chain)
            message.nest(4) { list in
                for expression in expressions { expression.write(to: &list) }
            }
            message.put(7, NftRule.userData(comment))
        }
    }

    public mutating func deleteRule(_ rule: NftRule) {
        add(.deleteRule, [], "delete rule from \(rule.chain)") { [table] message in
            message.put(1, table)
            message.put(2, rule.chain)
            message.put(3, bigEndian: rule.handle)
        }
    }

    public mutating func addSet(_ set: NftSet) {
        let id = nextSetID
        nextSetID += 1
        add(.newSet, [.create], "add set \(set.name)") { [table] in set.write(to: &$0, table: table, id: id) }
    }

    /// Adds elements; nothing happens for those that are there with the same value.
    public mutating func addElements(_ elements: [NftElement], to set: String) {
        change(elements, of: set, .newElements, [.create], "add to set \(set)")
    }

    /// Deletes elements by their keys. An error when one is not there.
    public mutating func deleteElements(_ elements: [NftElement], from set: String) {
        let keys = elements.map { NftElement(key: $0.key, lastKey: $0.lastKey) }
        change(keys, of: set, .deleteElements, [], "delete from set \(set)")
    }

    /// Deletes all elements.
    public mutating func flushSet(_ set: String) {
        change([], of: set, .deleteElements, [], "flush set \(set)", evenIfEmpty: true)
    }

    private mutating func change(
        _ elements: [NftElement], of set: String, _ type: NftMessage, _ flags: NetlinkFlags, _ purpose: String,
        evenIfEmpty: Bool = false
    ) {
        if elements.isEmpty && evenIfEmpty {
            add(type, flags, purpose) { [table] message in
                message.put(1, table)
                message.put(2, set)
            }
        }
        for start in stride(from: 0, to: elements.count, by: Self.elementsPerMessage) {
            let part = elements[start..<min(start + Self.elementsPerMessage, elements.count)]
            add(type, flags, purpose) { [table] message in
                message.put(1, table)
                message.put(2, set)
                message.nest(3) { list in
                    for element in part { element.write(to: &list) }
                }
            }
        }
    }

    private mutating func add(
        _ type: NftMessage, _ flags: NetlinkFlags, _ purpose: String, _ body: (inout NetlinkMessage) -> Void
    ) {
        var message = NetlinkMessage.nft(type, flags, "nft \(purpose)", family)
        body(&message)
        messages.append(message)
    }
}

/// Where a chain meets the packets.
public struct NftHook: Sendable {
    public enum Kind: String, Sendable {
        case filter
        case nat
    }

    public enum Point: UInt32, Sendable {
        case prerouting = 0
        case input = 1
        case forward = 2
        case output = 3
        case postrouting = 4
    }

    public var kind: Kind
    public var point: Point
    /// Lower ones come first; -300 is before connection tracking, -100 and 100 are the usual places of NAT.
    public var priority: Int32
    public var dropsByDefault: Bool

    public init(_ kind: Kind, _ point: Point, priority: Int32, dropsByDefault: Bool = false) {
        self.kind = kind
        self.point = point
        self.priority = priority
        self.dropsByDefault = dropsByDefault
    }
}

/// How a table lives.
public struct NftTableOptions: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Only the socket that makes the table can change it. Such a table is in nobody's `flush ruleset`.
    public static let owned = NftTableOptions(rawValue: 2)
    /// An owned table stays when its socket is closed, and then belongs to nobody (Linux 6.9).
    public static let persistent = NftTableOptions(rawValue: 4)
}
