/// A value of the D-Bus protocol, as far as systemd's interface has them.
enum DBusValue: Sendable, Equatable {
    case byte(UInt8)
    case boolean(Bool)
    case int16(Int16)
    case uint16(UInt16)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case double(Double)
    case string(String)
    case objectPath(String)
    case signature(String)
    /// Elements of one type, whose signature stands here because there may be none.
    case array(String, [DBusValue])
    case structure([DBusValue])
    indirect case variant(DBusValue)

    static func strings(_ strings: [String]) -> DBusValue { .array("s", strings.map { .string($0) }) }
    static func bytes(_ bytes: [UInt8]) -> DBusValue { .array("y", bytes.map { .byte($0) }) }

    /// The type as D-Bus writes it.
    var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .array(let element, _): "a\(element)"
        case .structure(let members): "(\(members.map(\.signature).joined()))"
        case .variant: "v"
        }
    }

    var string: String? {
        switch self {
        case .string(let text), .objectPath(let text), .signature(let text): text
        case .variant(let value): value.string
        default: nil
        }
    }
}

/// Values as bytes, little-endian, each aligned to its size counted from the start.
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func align(_ size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    private mutating func integer<T: FixedWidthInteger>(_ value: T) {
        align(MemoryLayout<T>.size)
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ value: DBusValue) {
        switch value {
        case .byte(let value): bytes.append(value)
        case .boolean(let value): integer(UInt32(value ? 1 : 0))
        case .int16(let value): integer(value)
        case .uint16(let value): integer(value)
        case .int32(let value): integer(value)
        case .uint32(let value): integer(value)
        case .int64(let value): integer(value)
        case .uint64(let value): integer(value)
        case .double(let value): integer(value.bitPattern)
        case .string(let text), .objectPath(let text):
            integer(UInt32(text.utf8.count))
            bytes += Array(text.utf8) + [0]
        case .signature(let text): bytes += [UInt8(text.utf8.count)] + Array(text.utf8) + [0]
        case .array(let element, let elements): writeArray(element, elements)
        case .structure(let members):
            align(8)
            for member in members { write(member) }
        case .variant(let value):
            write(.signature(value.signature))
            write(value)
        }
    }

    /// The length counts from the first element, after the padding before it.
    private mutating func writeArray(_ element: String, _ elements: [DBusValue]) {
        integer(UInt32(0))
        let place = bytes.count - 4
        align(DBusSignature.alignment(element))
        let start = bytes.count
        for value in elements { write(value) }
        withUnsafeBytes(of: UInt32(bytes.count - start).littleEndian) { bytes.replaceSubrange(place..<(place + 4), with: $0) }
    }
}

/// Types as text: where one ends and where its values have to begin.
enum DBusSignature {
    static func alignment(_ signature: String) -> Int {
        switch signature.utf8.first {
        case UInt8(ascii: "n"), UInt8(ascii: "q"): 2
        case UInt8(ascii: "b"), UInt8(ascii: "i"), UInt8(ascii: "u"), UInt8(ascii: "s"), UInt8(ascii: "o"), UInt8(ascii: "a"): 4
        case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "d"), UInt8(ascii: "("), UInt8(ascii: "{"): 8
        default: 1
        }
    }

    /// Cuts the first whole type off; nil when there is none.
    static func first(of signature: inout Substring) -> String? {
        guard let letter = signature.popFirst() else { return nil }
        switch letter {
        case "a": return first(of: &signature).map { "a\($0)" }
        case "(", "{":
            var text = String(letter)
            let closing: Character = letter == "(" ? ")" : "}"
            while let next = signature.first, next != closing {
                guard let member = first(of: &signature) else { return nil }
                text += member
            }
            guard signature.popFirst() == closing else { return nil }
            return text + String(closing)
        case let letter where "ybnqiuxtdsogvh".contains(letter): return String(letter)
        default: return nil
        }
    }
}

/// Reads values. What does not fit is nil and never read over: the bytes come from another process.
struct DBusReader {
    private let bytes: [UInt8]
    private let swapped: Bool
    private(set) var position: Int
    private var depthLeft = 16

    init(_ bytes: [UInt8], at position: Int = 0, bigEndian: Bool = false) {
        self.bytes = bytes
        self.position = position
        swapped = bigEndian
    }

    mutating func align(_ size: Int) { position += (size - position % size) % size }

    private mutating func integer<T: FixedWidthInteger>(_ type: T.Type) -> T? {
        let size = MemoryLayout<T>.size
        align(size)
        guard position + size <= bytes.count else { return nil }
        let value = bytes[position..<(position + size)].withUnsafeBytes { $0.loadUnaligned(as: T.self) }
        position += size
        return swapped ? T(bigEndian: value) : T(littleEndian: value)
    }

    private mutating func text(_ length: Int) -> String? {
        guard length >= 0, length < bytes.count, position + length + 1 <= bytes.count else { return nil }
        let text = String(decoding: bytes[position..<(position + length)], as: UTF8.self)
        position += length + 1
        return text
    }

    /// The next value of one whole type.
    mutating func value(_ signature: String) -> DBusValue? {
        guard depthLeft > 0 else { return nil }
        depthLeft -= 1
        defer { depthLeft += 1 }
        switch signature.first {
        case "y": return integer(UInt8.self).map { .byte($0) }
        case "b": return integer(UInt32.self).map { .boolean($0 != 0) }
        case "n": return integer(Int16.self).map { .int16($0) }
        case "q": return integer(UInt16.self).map { .uint16($0) }
        case "i": return integer(Int32.self).map { .int32($0) }
        case "u", "h": return integer(UInt32.self).map { .uint32($0) }
        case "x": return integer(Int64.self).map { .int64($0) }
        case "t": return integer(UInt64.self).map { .uint64($0) }
        case "d": return integer(UInt64.self).map { .double(Double(bitPattern: $0)) }
        case "s": return integer(UInt32.self).flatMap { text(Int($0)) }.map { .string($0) }
        case "o": return integer(UInt32.self).flatMap { text(Int($0)) }.map { .objectPath($0) }
        case "g": return integer(UInt8.self).flatMap { text(Int($0)) }.map { .signature($0) }
        case "v": return integer(UInt8.self).flatMap { text(Int($0)) }.flatMap { value($0) }.map { .variant($0) }
        case "a": return array(String(signature.dropFirst()))
        case "(", "{": return structure(signature.dropFirst().dropLast())
        default: return nil
        }
    }

    private mutating func array(_ element: String) -> DBusValue? {
        guard let length = integer(UInt32.self) else { return nil }
        align(DBusSignature.alignment(element))
        let end = position + Int(length)
        guard end <= bytes.count else { return nil }
        var elements: [DBusValue] = []
        while position < end {
            guard let next = value(element) else { return nil }
            elements.append(next)
        }
        return .array(element, elements)
    }

    private mutating func structure(_ signature: Substring) -> DBusValue? {
        align(8)
        guard let members = values(signature) else { return nil }
        return .structure(members)
    }

    /// One value after the other.
    mutating func values(_ signature: Substring) -> [DBusValue]? {
        var rest = signature
        var values: [DBusValue] = []
        while !rest.isEmpty {
            guard let type = DBusSignature.first(of: &rest), let next = value(type) else { return nil }
            values.append(next)
        }
        return values
    }
}
