/// A named set, or a map when it has values.
public struct NftSet: Sendable, Equatable {
    public var name: String
    /// The parts of a key; each fills whole cells of four bytes.
    public var key: [NftType]
    public var value: Value?
    /// Whether its elements may be ranges of keys. The key then has several parts.
    public var hasRanges: Bool

    public enum Value: Sendable, Equatable {
        case data([NftType])
        case verdict
    }

    public init(name: String, key: [NftType], value: Value? = nil, hasRanges: Bool = false) {
        self.name = name
        self.key = key
        self.value = value
        self.hasRanges = hasRanges
    }
}

/// What a key or value holds. The numbers are those of the `nft` program, which shows the sets by them.
public enum NftType: UInt32, Sendable {
    case ipv4 = 7
    case ipv6 = 8
    case transport = 12
    case port = 13
    case interface = 41

    var size: Int {
        switch self {
        case .ipv4: 4
        case .ipv6: 16
        case .transport: 1
        case .port: 2
        case .interface: 16
        }
    }
}

/// A key, or a key with its value.
public struct NftElement: Sendable, Hashable {
    /// The parts one after another, each padded to four bytes (`NftElement.join`).
    public var key: [UInt8]
    /// The last key of a range, its end included; nil for one key.
    public var lastKey: [UInt8]?
    public var value: Value?

    public enum Value: Sendable, Hashable {
        case data([UInt8])
        case jump(String)
    }

    public init(key: [UInt8], lastKey: [UInt8]? = nil, value: Value? = nil) {
        self.key = key
        self.lastKey = lastKey
        self.value = value
    }

    /// Puts the parts of a key or value together.
    public static func join(_ parts: [[UInt8]]) -> [UInt8] {
        parts.flatMap { $0 + [UInt8](repeating: 0, count: (4 - $0.count % 4) % 4) }
    }
}

extension NftSet {
    private enum Flags {
        static let interval: UInt32 = 4
        static let map: UInt32 = 8
        static let concatenation: UInt32 = 0x80
    }

    /// NFT_DATA_VERDICT
    private static let verdictType: UInt32 = 0xffff_ff00

    func write(to message: inout NetlinkMessage, table: String, id: UInt32) {
        message.put(1, table)
        message.put(2, name)
        let ranges = hasRanges ? Flags.interval | Flags.concatenation : 0
        message.put(3, bigEndian: (value == nil ? 0 : Flags.map) | ranges)
        message.put(4, bigEndian: Self.number(of: key))
        message.put(5, bigEndian: Self.length(of: key))
        switch value {
        case .data(let types):
            message.put(6, bigEndian: Self.number(of: types))
            message.put(7, bigEndian: Self.length(of: types))
        case .verdict:
            message.put(6, bigEndian: Self.verdictType)
            // The kernel fixes the length of verdicts itself.
            message.put(7, bigEndian: UInt32(0))
        case nil: break
        }
        if hasRanges { writeParts(to: &message) }
        message.put(10, bigEndian: id)
    }

    /// NFTA_SET_DESC { NFTA_SET_DESC_CONCAT { NFTA_LIST_ELEM { NFTA_SET_FIELD_LEN } ... } }
    private func writeParts(to message: inout NetlinkMessage) {
        message.nest(9) { description in
            description.nest(2) { list in
                for part in key { list.nest(NftExpression.element) { $0.put(1, bigEndian: UInt32(part.size)) } }
            }
        }
    }

    /// Six bits for each part.
    private static func number(of types: [NftType]) -> UInt32 {
        types.reduce(0) { $0 << 6 | $1.rawValue }
    }

    private static func length(of types: [NftType]) -> UInt32 {
        if types.count == 1 { return UInt32(types[0].size) }
        return UInt32(types.reduce(0) { $0 + ($1.size + 3) / 4 * 4 })
    }
}

extension NftElement {
    func write(to message: inout NetlinkMessage) {
        message.nest(NftExpression.element) { element in
            element.nest(1) { $0.put(1, key) }
            if let lastKey { element.nest(10) { $0.put(1, lastKey) } }
            switch value {
            case .data(let bytes): element.nest(2) { $0.put(1, bytes) }
            case .jump(let chain): element.nest(2) { NftVerdict.jump(chain).write(to: &$0) }
            case nil: break
            }
        }
    }

    /// Nil for an element without key; of verdicts only the chain is read.
    init?(_ bytes: ArraySlice<UInt8>) throws(SystemError) {
        let attributes = try NetlinkAttributes(bytes)
        guard let key = try attributes.nested(1)?.bytes(1) else { return nil }
        let data = try attributes.nested(2)
        var value = data?.bytes(1).map { Value.data(Array($0)) }
        if let chain = try data?.nested(2)?.string(2) { value = .jump(chain) }
        let last = try attributes.nested(10)?.bytes(1).map { Array($0) }
        self.init(key: Array(key), lastKey: last, value: value)
    }
}
