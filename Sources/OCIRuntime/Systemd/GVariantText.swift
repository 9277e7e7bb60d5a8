/// Values of D-Bus in the text form of GVariant, as far as properties of units have them: numbers, booleans, strings,
/// arrays, tuples, `<variants>`, each with a type before it where the usual one is not meant (`uint64 5`, `@as []`).
enum GVariantText {
    static func parse(_ text: String) -> DBusValue? {
        var parser = Parser(Array(text.utf8))
        guard let value = parser.value(nil), parser.isAtEnd, value.signature.utf8.count < 256 else { return nil }
        return value
    }

    private static let words = [
        "byte": "y", "boolean": "b", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t",
        "double": "d", "string": "s", "objectpath": "o", "signature": "g",
    ]

    private struct Parser {
        private let bytes: [UInt8]
        private var position = 0
        private var depthLeft = 16

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return position == bytes.count
            }
        }

        private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

        private mutating func skipSpace() {
            while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A { position += 1 }
        }

        private mutating func take(_ byte: UInt8) -> Bool {
            skipSpace()
            guard next == byte else { return false }
            position += 1
            return true
        }

        private mutating func word(_ belongs: (UInt8) -> Bool) -> String {
            let start = position
            while let byte = next, belongs(byte) { position += 1 }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }

        /// A value of the type, by default the one that it looks like.
        mutating func value(_ type: String?) -> DBusValue? {
            guard depthLeft > 0 else { return nil }
            depthLeft -= 1
            defer { depthLeft += 1 }
            skipSpace()
            switch next {
            case UInt8(ascii: "'"), UInt8(ascii: "\""): return string(type ?? "s")
            case UInt8(ascii: "["): return array(type)
            case UInt8(ascii: "("): return tuple(type)
            case UInt8(ascii: "<"):
                position += 1
                guard type == nil || type == "v", let inner = value(nil), inner.signature.utf8.count < 256,
                    take(UInt8(ascii: ">"))
                else { return nil }
                return .variant(inner)
            case UInt8(ascii: "@"):
                position += 1
                return value(word { $0 != 0x20 })
            case let byte? where byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || Self.isDigit(byte):
                return number(type ?? "")
            case nil: return nil
            default: return keyword(type)
            }
        }

        private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

        private mutating func keyword(_ type: String?) -> DBusValue? {
            let word = word { Self.isDigit($0) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }
            switch word {
            case "true", "false": return type == nil || type == "b" ? .boolean(word == "true") : nil
            default: return GVariantText.words[word].flatMap { value($0) }
            }
        }

        private mutating func number(_ type: String) -> DBusValue? {
            let text = word { Self.isDigit($0) || "+-.eExXabcdefABCDEF".utf8.contains($0) }
            let hex = text.hasPrefix("0x") ? text.dropFirst(2) : nil
            func integer<T: FixedWidthInteger>(_: T.Type) -> T? { hex.map { T($0, radix: 16) } ?? T(text) }
            switch type {
            case "y": return integer(UInt8.self).map { .byte($0) }
            case "n": return integer(Int16.self).map { .int16($0) }
            case "q": return integer(UInt16.self).map { .uint16($0) }
            case "i": return integer(Int32.self).map { .int32($0) }
            case "u": return integer(UInt32.self).map { .uint32($0) }
            case "x": return integer(Int64.self).map { .int64($0) }
            case "t": return integer(UInt64.self).map { .uint64($0) }
            case "d": return Double(text).map { .double($0) }
            case "": return integer(Int32.self).map { .int32($0) } ?? (text.contains(".") ? Double(text).map { .double($0) } : nil)
            default: return nil
            }
        }

        private mutating func string(_ type: String) -> DBusValue? {
            guard let quote = next else { return nil }
            position += 1
            var text: [UInt8] = []
            while let byte = next, byte != quote {
                position += 1
                guard byte == UInt8(ascii: "\\") else {
                    text.append(byte)
                    continue
                }
                guard let escaped = next else { return nil }
                position += 1
                switch escaped {
                case UInt8(ascii: "n"): text.append(10)
                case UInt8(ascii: "t"): text.append(9)
                case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(escaped)
                default: return nil
                }
            }
            guard next == quote, let string = String(validating: text, as: UTF8.self), !text.contains(0) else { return nil }
            position += 1
            switch type {
            case "s": return .string(string)
            case "o": return .objectPath(string)
            case "g": return string.utf8.count < 256 ? .signature(string) : nil
            default: return nil
            }
        }

        private mutating func array(_ type: String?) -> DBusValue? {
            position += 1
            var element = type.flatMap { $0.hasPrefix("a") ? String($0.dropFirst()) : nil }
            guard type == nil || element != nil else { return nil }
            var elements: [DBusValue] = []
            while !take(UInt8(ascii: "]")) {
                if !elements.isEmpty, !take(UInt8(ascii: ",")) { return nil }
                guard let next = value(element) else { return nil }
                element = element ?? next.signature
                guard next.signature == element else { return nil }
                elements.append(next)
            }
            return element.map { .array($0, elements) }
        }

        private mutating func tuple(_ type: String?) -> DBusValue? {
            position += 1
            var types = type.map { $0.dropFirst().dropLast() }
            guard type == nil || type?.hasPrefix("(") == true else { return nil }
            var members: [DBusValue] = []
            while !take(UInt8(ascii: ")")) {
                if !members.isEmpty, !take(UInt8(ascii: ",")) { return nil }
                if take(UInt8(ascii: ")")) { break }  // The comma after a single member.
                var member: String?
                if types != nil {
                    member = types.flatMap { rest in
                        var rest = rest
                        let first = DBusSignature.first(of: &rest)
                        types = rest
                        return first
                    }
                    guard member != nil else { return nil }
                }
                guard let next = value(member) else { return nil }
                members.append(next)
            }
            return members.isEmpty ? nil : .structure(members)
        }
    }
}
