/// As much of protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) as CRIU's `rpc.proto` needs: numbers
/// as varints, and texts and messages with their length in front.
struct ProtobufMessage: Equatable {
    private(set) var bytes: [UInt8] = []

    /// A negative number is one of 64 bits, whatever its type.
    mutating func put(_ field: Int, _ number: Int) {
        putVarint(UInt64(field) << 3)
        putVarint(UInt64(bitPattern: Int64(number)))
    }

    /// False is what a field that is not there means, but for those that have to be there.
    mutating func put(_ field: Int, _ value: Bool) {
        put(field, value ? 1 : 0)
    }

    mutating func put(_ field: Int, _ text: String) {
        put(field, Array(text.utf8))
    }

    mutating func put(_ field: Int, _ message: ProtobufMessage) {
        put(field, message.bytes)
    }

    private mutating func put(_ field: Int, _ content: [UInt8]) {
        putVarint(UInt64(field) << 3 | 2)
        putVarint(UInt64(content.count))
        bytes += content
    }

    private mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// The fields of a message, in their order. Those of kinds that nobody asks for are there as well.
struct ProtobufFields {
    private var numbers: [(field: Int, value: UInt64)] = []
    private var contents: [(field: Int, bytes: ArraySlice<UInt8>)] = []

    /// nil for what is no message.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            guard let key = Self.varint(&rest), let field = Int(exactly: key >> 3), field > 0 else { return nil }
            switch key & 7 {
            case 0:
                guard let value = Self.varint(&rest) else { return nil }
                numbers.append((field, value))
            case 2:
                guard let length = Self.varint(&rest), length <= UInt64(rest.count) else { return nil }
                contents.append((field, rest.prefix(Int(length))))
                rest = rest.dropFirst(Int(length))
            case 1, 5:
                let width = key & 7 == 1 ? 8 : 4
                guard rest.count >= width else { return nil }
                rest = rest.dropFirst(width)
            default: return nil
            }
        }
    }

    /// Of several with one number the last counts.
    func number(_ field: Int) -> Int? {
        numbers.last { $0.field == field }.map { Int(truncatingIfNeeded: $0.value) }
    }

    func text(_ field: Int) -> String? {
        contents.last { $0.field == field }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    func message(_ field: Int) -> ProtobufFields? {
        contents.last { $0.field == field }.flatMap { ProtobufFields($0.bytes) }
    }

    private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = bytes.popFirst() else { return nil }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}
