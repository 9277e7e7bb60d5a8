/// Reads `["a", "b"]`. Text that is no JSON array is not an error: it is a shell form.
struct JSONStrings {
    private var rest: Substring.UnicodeScalarView
    private static let maxDepth = 64

    /// - Returns: the strings, or nil when the text is not a JSON array.
    /// - Throws: when it is one, but of something else than strings.
    static func parse(_ text: String) throws(BuildError) -> [String]? {
        var parser = JSONStrings(rest: text.unicodeScalars[...])
        parser.skipBlanks()
        guard parser.rest.first == "[" else { return nil }
        guard let value = parser.value(depth: 0), case .array(let items) = value else { return nil }
        var strings: [String] = []
        for item in items {
            guard case .string(let string) = item else {
                throw .invalid("when using JSON array syntax, arrays must be comprised of strings only")
            }
            strings.append(string)
        }
        return strings
    }

    private enum Value {
        case string(String)
        case array([Value])
        case other
    }

    private mutating func skipBlanks() {
        rest = rest.drop { $0 == " " || $0 == "\t" || $0 == "\n" || $0 == "\r" }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard rest.first == scalar else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func value(depth: Int) -> Value? {
        guard depth < Self.maxDepth else { return nil }
        skipBlanks()
        switch rest.first {
        case "\""?: return string().map { .string($0) }
        case "["?: return array(depth: depth)
        case "{"?: return object(depth: depth)
        default: return literal()
        }
    }

    private mutating func array(depth: Int) -> Value? {
        guard take("[") else { return nil }
        var items: [Value] = []
        if take("]") { return .array(items) }
        repeat {
            guard let item = value(depth: depth + 1) else { return nil }
            items.append(item)
        } while take(",")
        return take("]") ? .array(items) : nil
    }

    private mutating func object(depth: Int) -> Value? {
        guard take("{") else { return nil }
        if take("}") { return .other }
        repeat {
            skipBlanks()
            guard string() != nil, take(":"), value(depth: depth + 1) != nil else { return nil }
        } while take(",")
        return take("}") ? .other : nil
    }

    private mutating func literal() -> Value? {
        let word = String(rest.prefix { $0.properties.isAlphabetic || "+-.0123456789".unicodeScalars.contains($0) })
        guard ["true", "false", "null"].contains(word) || isNumber(word) else { return nil }
        rest = rest.dropFirst(word.unicodeScalars.count)
        return .other
    }

    private func isNumber(_ word: String) -> Bool {
        guard let first = word.utf8.first, let last = word.utf8.last else { return false }
        let isDigit = { (byte: UInt8) in UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
        return (isDigit(first) || first == UInt8(ascii: "-")) && isDigit(last) && Double(word) != nil
    }

    private mutating func string() -> String? {
        guard rest.popFirst() == "\"" else { return nil }
        var result = String.UnicodeScalarView()
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return String(result)
            case "\\":
                guard let escaped = escape() else { return nil }
                result.append(escaped)
            case _ where scalar.value < 0x20: return nil
            default: result.append(scalar)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        switch rest.popFirst() {
        case "\""?: "\""
        case "\\"?: "\\"
        case "/"?: "/"
        case "b"?: "\u{8}"
        case "f"?: "\u{C}"
        case "n"?: "\n"
        case "r"?: "\r"
        case "t"?: "\t"
        case "u"?: unicodeEscape()
        default: nil
        }
    }

    /// `\uXXXX`, also as a pair of surrogates; a lone surrogate becomes U+FFFD.
    private mutating func unicodeEscape() -> Unicode.Scalar? {
        guard let first = hexQuad() else { return nil }
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, rest.starts(with: "\\u".unicodeScalars) else { return "\u{FFFD}" }
        let before = rest
        rest = rest.dropFirst(2)
        guard let second = hexQuad() else { return nil }
        if (0xDC00...0xDFFF).contains(second) {
            return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        }
        rest = before
        return "\u{FFFD}"
    }

    private mutating func hexQuad() -> UInt32? {
        let digits = String(rest.prefix(4))
        guard digits.utf8.count == 4, digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let value = UInt32(digits, radix: 16)
        else { return nil }
        rest = rest.dropFirst(4)
        return value
    }
}
