/// One message of the D-Bus protocol:
///
///     u8 byte order ('l')  u8 type  u8 flags  u8 version (1)  u32 length of the body  u32 serial
///     array of (u8 code, variant) fields   padding to 8   body
struct DBusMessage: Sendable, Equatable {
    enum Kind: UInt8, Sendable {
        case call = 1, answer, error, signal
    }

    var kind: Kind
    var serial: UInt32 = 0
    var replySerial: UInt32?
    var destination: String?
    var path: String?
    var interface: String?
    var member: String?
    var errorName: String?
    var body: [DBusValue] = []

    private enum Field: UInt8 {
        case path = 1, interface, member, errorName, replySerial, destination, sender, signature
    }

    var bytes: [UInt8] {
        var content = DBusWriter()
        for value in body { content.write(value) }
        var fields: [DBusValue] = []
        func add(_ field: Field, _ value: DBusValue?) {
            if let value { fields.append(.structure([.byte(field.rawValue), .variant(value)])) }
        }
        add(.path, path.map { .objectPath($0) })
        add(.interface, interface.map { .string($0) })
        add(.member, member.map { .string($0) })
        add(.errorName, errorName.map { .string($0) })
        add(.replySerial, replySerial.map { .uint32($0) })
        add(.destination, destination.map { .string($0) })
        if !body.isEmpty { add(.signature, .signature(body.map(\.signature).joined())) }
        var writer = DBusWriter()
        for byte in [UInt8(ascii: "l"), kind.rawValue, 0, 1] { writer.write(.byte(byte)) }
        writer.write(.uint32(UInt32(content.bytes.count)))
        writer.write(.uint32(serial))
        writer.write(.array("(yv)", fields))
        writer.align(8)
        return writer.bytes + content.bytes
    }

    /// How long the whole message is, from its first 16 bytes; nil when that cannot be one.
    static func length(_ head: [UInt8]) -> Int? {
        guard head.count >= 16, head[0] == UInt8(ascii: "l") || head[0] == UInt8(ascii: "B"), head[3] == 1 else { return nil }
        var reader = DBusReader(head, at: 4, bigEndian: head[0] == UInt8(ascii: "B"))
        guard case .uint32(let body)? = reader.value("u"), case .uint32? = reader.value("u"), case .uint32(let fields)? = reader.value("u"),
            body <= 16 << 20, fields <= 1 << 20
        else { return nil }
        return 16 + (Int(fields) + 7) / 8 * 8 + Int(body)
    }

    init?(_ bytes: [UInt8]) {
        guard let length = Self.length(bytes), length == bytes.count, let kind = Kind(rawValue: bytes[1]) else { return nil }
        self.kind = kind
        var reader = DBusReader(bytes, at: 8, bigEndian: bytes[0] == UInt8(ascii: "B"))
        guard case .uint32(let serial)? = reader.value("u"), case .array(_, let fields)? = reader.value("a(yv)") else { return nil }
        self.serial = serial
        var signature = ""
        for case .structure(let members) in fields {
            guard members.count == 2, case .byte(let code) = members[0], case .variant(let value) = members[1] else { return nil }
            switch Field(rawValue: code) {
            case .path: path = value.string
            case .interface: interface = value.string
            case .member: member = value.string
            case .errorName: errorName = value.string
            case .destination: destination = value.string
            case .signature: signature = value.string ?? ""
            case .replySerial: if case .uint32(let number) = value { replySerial = number }
            case .sender, nil: break
            }
        }
        reader.align(8)
        guard let body = reader.values(signature[...]) else { return nil }
        self.body = body
    }

    init(call member: String, _ interface: String, path: String, destination: String?, _ body: [DBusValue] = []) {
        kind = .call
        self.member = member
        self.interface = interface
        self.path = path
        self.destination = destination
        self.body = body
    }
}
