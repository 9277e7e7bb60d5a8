extension JSONValue {
    /// The document as bytes, without any space, or indented by two spaces a level.
    public func serialized(indented: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        write(into: &bytes, level: indented ? 0 : nil)
        return bytes
    }

    private func write(into bytes: inout [UInt8], level: Int?) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let bool): bytes.append(contentsOf: (bool ? "true" : "false").utf8)
        case .int(let int): bytes.append(contentsOf: String(int).utf8)
        case .unsigned(let unsigned): bytes.append(contentsOf: String(unsigned).utf8)
        // JSON has no word for what is not finite.
        case .double(let double): bytes.append(contentsOf: (double.isFinite ? "\(double)" : "null").utf8)
        case .string(let string): Self.write(string, into: &bytes)
        case .array(let elements):
            Self.list(elements, "[", "]", into: &bytes, level: level) { $0.write(into: &$1, level: $2) }
        case .object(let members):
            Self.list(members, "{", "}", into: &bytes, level: level) { member, bytes, level in
                Self.write(member.0, into: &bytes)
                bytes.append(UInt8(ascii: ":"))
                if level != nil { bytes.append(UInt8(ascii: " ")) }
                member.1.write(into: &bytes, level: level)
            }
        }
    }

    private static func list<Element>(
        _ elements: [Element], _ open: Unicode.Scalar, _ close: Unicode.Scalar, into bytes: inout [UInt8], level: Int?,
        _ write: (Element, inout [UInt8], Int?) -> Void
    ) {
        bytes.append(UInt8(ascii: open))
        let inner = level.map { $0 + 1 }
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            newLine(&bytes, inner)
            write(element, &bytes, inner)
        }
        if !elements.isEmpty { newLine(&bytes, level) }
        bytes.append(UInt8(ascii: close))
    }

    private static func newLine(_ bytes: inout [UInt8], _ level: Int?) {
        guard let level else { return }
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
    }

    private static func write(_ string: String, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0x0A: bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: bytes.append(contentsOf: "\\r".utf8)
            case 0x09: bytes.append(contentsOf: "\\t".utf8)
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
