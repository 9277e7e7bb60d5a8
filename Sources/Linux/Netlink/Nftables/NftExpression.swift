/// One step of a rule. A rule is a list of them; a comparison or lookup that does not match ends the rule.
///
/// Registers are numbered in cells of four bytes (`NftRegister`); a value of n bytes fills n/4 cells, rounded up.
public struct NftExpression: Sendable, Equatable {
    let name: String
    let attributes: [Attribute]

    enum Attribute: Sendable, Equatable {
        case number(UInt16, UInt32)
        case text(UInt16, String)
        /// Raw data in a nest of its own, as `struct nft_data` wants it.
        case value(UInt16, [UInt8])
        case verdict(UInt16, NftVerdict)
    }

    func write(to message: inout NetlinkMessage) {
        message.nest(Self.element) { element in
            element.put(1, name)
            element.nest(2) { data in
                for attribute in attributes { attribute.write(to: &data) }
            }
        }
    }

    /// NFTA_LIST_ELEM
    static let element: UInt16 = 1
}

extension NftExpression.Attribute {
    func write(to message: inout NetlinkMessage) {
        switch self {
        case .number(let type, let number): message.put(type, bigEndian: number)
        case .text(let type, let text): message.put(type, text)
        case .value(let type, let bytes): message.nest(type) { $0.put(1, bytes) }
        case .verdict(let type, let verdict): message.nest(type) { verdict.write(to: &$0) }
        }
    }
}

/// A cell of four bytes; there are sixteen.
public struct NftRegister: Sendable, Equatable {
    let number: UInt32

    public static let first = NftRegister(number: 8)

    /// The cell that many cells further on.
    public static func cell(_ index: UInt32) -> NftRegister { NftRegister(number: 8 + index) }
}

/// What happens to a packet.
public enum NftVerdict: Sendable, Equatable {
    case accept
    case drop
    case `return`
    case jump(String)
    case goto(String)

    func write(to message: inout NetlinkMessage) {
        // NFTA_DATA_VERDICT { NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN }
        message.nest(2) { verdict in
            verdict.put(1, bigEndian: code)
            switch self {
            case .jump(let chain), .goto(let chain): verdict.put(2, chain)
            default: break
            }
        }
    }

    private var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }
}

extension NftExpression {
    public enum MetaKey: UInt32, Sendable {
        case mark = 3
        case inputName = 6
        case outputName = 7
        case family = 15
        case transport = 16
        case inputGroup = 21
    }

    public enum PayloadBase: UInt32, Sendable {
        case link = 0
        case network = 1
        case transport = 2
    }

    public enum Comparison: UInt32, Sendable {
        case equal = 0
        case notEqual = 1
    }

    public enum ConnectionKey: UInt32, Sendable {
        case state = 0
        case status = 2
    }

    public enum Translation: UInt32, Sendable {
        case source = 0
        case destination = 1
    }

    /// Loads something about the packet that does not stand in it.
    public static func meta(_ key: MetaKey, into register: NftRegister = .first) -> NftExpression {
        NftExpression(name: "meta", attributes: [.number(1, register.number), .number(2, key.rawValue)])
    }

    /// Marks the packet; the mark is the host's own business and on no wire.
    public static func setMark(from register: NftRegister = .first) -> NftExpression {
        NftExpression(name: "meta", attributes: [.number(2, MetaKey.mark.rawValue), .number(3, register.number)])
    }

    /// Sends a copy of the packet to the neighbour of that address at the link of that number, and goes on. Only in tables of
    /// the families `ipv4` and `ipv6`.
    public static func copy(to address: NftRegister, link: NftRegister) -> NftExpression {
        NftExpression(name: "dup", attributes: [.number(1, address.number), .number(2, link.number)])
    }

    /// Loads bytes of the packet.
    public static func payload(
        _ base: PayloadBase, offset: UInt32, length: UInt32, into register: NftRegister = .first
    ) -> NftExpression {
        NftExpression(
            name: "payload",
            attributes: [
                .number(1, register.number), .number(2, base.rawValue), .number(3, offset), .number(4, length),
            ])
    }

    public static func compare(
        _ comparison: Comparison, _ bytes: [UInt8], in register: NftRegister = .first
    ) -> NftExpression {
        NftExpression(
            name: "cmp", attributes: [.number(1, register.number), .number(2, comparison.rawValue), .value(3, bytes)])
    }

    /// Keeps the bits of the mask.
    public static func mask(_ bytes: [UInt8], in register: NftRegister = .first) -> NftExpression {
        NftExpression(
            name: "bitwise",
            attributes: [
                .number(1, register.number), .number(2, register.number), .number(3, UInt32(bytes.count)),
                .value(4, bytes), .value(5, [UInt8](repeating: 0, count: bytes.count)),
            ])
    }

    /// Connection tracking passes the packet over.
    public static var untracked: NftExpression { NftExpression(name: "notrack", attributes: []) }

    /// Looks the key up in a set; with `into`, in a map, whose value is loaded. A verdict map (`into` the verdict) acts.
    public static func lookup(
        _ set: String, key: NftRegister = .first, into value: NftRegister? = nil
    ) -> NftExpression {
        NftExpression(
            name: "lookup",
            attributes: [.text(1, set), .number(2, key.number)] + (value.map { [.number(3, $0.number)] } ?? []))
    }

    /// Looks the key up in a verdict map and acts as it says.
    public static func verdict(from map: String, key: NftRegister = .first) -> NftExpression {
        lookup(map, key: key, into: NftRegister(number: 0))
    }

    /// Rewrites source or destination of the connection to the address and port in the registers; without a port, it
    /// stays as it is.
    public static func translate(
        _ translation: Translation, _ family: AddressFamily, address: NftRegister, port: NftRegister?
    ) -> NftExpression {
        NftExpression(
            name: "nat",
            attributes: [
                .number(1, translation.rawValue), .number(2, UInt32(family.rawValue)), .number(3, address.number),
            ] + (port.map { [.number(5, $0.number)] } ?? []))
    }

    /// Loads bytes that are always the same.
    public static func load(_ bytes: [UInt8], into register: NftRegister = .first) -> NftExpression {
        NftExpression(name: "immediate", attributes: [.number(1, register.number), .value(2, bytes)])
    }

    /// Writes bytes of a register into the packet's transport header; the checksum at `checksumOffset` is kept right.
    public static func writeTransport(
        offset: UInt32, length: UInt32, from register: NftRegister = .first, checksumOffset: UInt32
    ) -> NftExpression {
        let internetChecksum: UInt32 = 1
        return NftExpression(
            name: "payload",
            attributes: [
                .number(5, register.number), .number(2, PayloadBase.transport.rawValue), .number(3, offset), .number(4, length),
                .number(6, internetChecksum), .number(7, checksumOffset), .number(8, 0),
            ])
    }

    /// Rewrites the source to the address of the device on which the packet leaves.
    public static var masquerade: NftExpression { NftExpression(name: "masq", attributes: []) }

    public static func verdict(_ verdict: NftVerdict) -> NftExpression {
        NftExpression(name: "immediate", attributes: [.number(1, 0), .verdict(2, verdict)])
    }

    public static func connection(_ key: ConnectionKey, into register: NftRegister = .first) -> NftExpression {
        NftExpression(name: "ct", attributes: [.number(1, register.number), .number(2, key.rawValue)])
    }

    /// Loads the kind of the destination address (`RTN_LOCAL` is 2), as the routing tables know it.
    public static func destinationKind(into register: NftRegister = .first) -> NftExpression {
        NftExpression(name: "fib", attributes: [.number(1, register.number), .number(2, 3), .number(3, 2)])
    }

    public static var counter: NftExpression { NftExpression(name: "counter", attributes: []) }
}
