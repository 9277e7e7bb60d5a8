/// Reads JSON (RFC 8259) from bytes, one value after the other, never deeper than it was told.
struct JSONParser {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depthLeft: Int
    /// Members of the elements of a list that nobody wants, by name, and those of whose own members only the names are wanted.
    private let unwanted: [[UInt8]]
    private let namesOnly: [[UInt8]]
    private let elementDepth: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, depth: Int, unwanted: [String] = [], namesOnly: [String] = []) {
        self.bytes = bytes
        depthLeft = depth
        // A list, and in it objects.
        elementDepth = depth - 2
        self.unwanted = unwanted.map { Array($0.utf8) }
        self.namesOnly = namesOnly.map { Array($0.utf8) }
    }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value()
        skipSpace()
        guard position == bytes.count else { throw failure("unexpected data after the document") }
        return value
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"): return try nested { (parser) throws(JSONError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(JSONError) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte): return try number()
        case nil: throw failure("unexpected end")
        default: throw failure("unexpected character")
        }
    }

    private mutating func nested(_ body: (inout JSONParser) throws(JSONError) -> JSONValue) throws(JSONError) -> JSONValue {
        guard depthLeft > 0 else { throw failure("nested too deeply") }
        depthLeft -= 1
        position += 1
        let value = try body(&self)
        depthLeft += 1
        return value
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [(String, JSONValue)] = []
        var large: Set<String> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipSpace()
            guard peek() == UInt8(ascii: "\"") else { throw failure("expected a member name") }
            if depthLeft == elementDepth, isNext(in: unwanted) {
                try skipMember()
                if take(UInt8(ascii: "}")) { return .object(members) }
                guard take(UInt8(ascii: ",")) else { throw failure("expected a comma or }") }
                continue
            }
            let wantsNames = depthLeft == elementDepth && isNext(in: namesOnly)
            let key = try string()
            // A set only where comparing with each earlier name would cost more.
            if members.count == 16 { large = Set(members.map(\.0)) }
            let repeated = members.count < 16 ? members.contains { $0.0 == key } : !large.insert(key).inserted
            guard !repeated else { throw failure("repeated member \(key)") }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("expected a colon") }
            members.append((key, wantsNames ? try names(inside: 2) : try value()))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected a comma or }") }
        }
    }

    // MARK: What is passed over

    /// Whether the member that begins here has one of these names, which have no escapes.
    private func isNext(in names: [[UInt8]]) -> Bool {
        for name in names {
            let end = position + 1 + name.count
            guard end < bytes.count, bytes[end] == UInt8(ascii: "\"") else { continue }
            var offset = 0
            while offset < name.count, bytes[position + 1 + offset] == name[offset] { offset += 1 }
            if offset == name.count { return true }
        }
        return false
    }

    private mutating func skipMember() throws(JSONError) {
        try skipString()
        skipSpace()
        guard take(UInt8(ascii: ":")) else { throw failure("expected a colon") }
        try skipValue()
        skipSpace()
    }

    /// The names of the members of an object, so many objects deep, with null for what they are; another value as it is.
    private mutating func names(inside levels: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        guard peek() == UInt8(ascii: "{") else { return try value() }
        position += 1
        var members: [(String, JSONValue)] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipSpace()
            guard peek() == UInt8(ascii: "\"") else { throw failure("expected a member name") }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("expected a colon") }
            if levels > 1 {
                members.append((key, try names(inside: levels - 1)))
            } else {
                try skipValue()
                members.append((key, .null))
            }
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected a comma or }") }
        }
    }

    /// Passes over a value of a document that is believed to be one: only its brackets and strings are looked at.
    private mutating func skipValue() throws(JSONError) {
        var open = 0
        while true {
            skipSpace()
            switch peek() {
            case nil: throw failure("unexpected end")
            case UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                position += 1
                open += 1
                continue
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard open > 0 else { throw failure("unexpected character") }
                position += 1
                open -= 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard open > 0 else { throw failure("unexpected character") }
                position += 1
                continue
            default: while let byte = peek(), !Self.endsWord(byte) { position += 1 }
            }
            if open == 0 { return }
        }
    }

    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ":"), UInt8(ascii: "\""), 0x20, 0x0A, 0x0D, 0x09: true
        default: false
        }
    }

    private mutating func skipString() throws(JSONError) {
        position += 1
        while let byte = peek() {
            position += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        throw failure("unterminated string")
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("expected a comma or ]") }
        }
    }

    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        // Most strings have no escapes and are taken as they stand.
        while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        if take(UInt8(ascii: "\"")) { return try text(bytes[start..<(position - 1)]) }
        var unescaped = Array(bytes[start..<position])
        while let byte = peek() {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return try unescaped.withUnsafeBufferPointer { (all) throws(JSONError) in try text(all[...]) }
            case UInt8(ascii: "\\"): try escape(into: &unescaped)
            case 0..<0x20: throw failure("control character in a string")
            default: unescaped.append(byte)
            }
        }
        throw failure("unterminated string")
    }

    private func text(_ slice: Slice<UnsafeBufferPointer<UInt8>>) throws(JSONError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw failure("a string is not valid UTF-8") }
        return text
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = peek() else { throw failure("unterminated string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"):
            var code = try fourHexDigits()
            if code & 0xFC00 == 0xD800 {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw failure("half a surrogate pair") }
                let low = try fourHexDigits()
                guard low & 0xFC00 == 0xDC00 else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(code), let encoded = UTF8.encode(scalar) else {
                throw failure("half a surrogate pair")
            }
            text.append(contentsOf: encoded)
        default: throw failure("unknown escape")
        }
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("expected four hex digits")
            }
            position += 1
            code = code << 4 | UInt32(digit)
        }
        return code
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        _ = take(UInt8(ascii: "-"))
        let firstDigit = position
        let digits = skipDigits()
        guard digits > 0, digits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else { throw failure("malformed number") }
        var whole = true
        if take(UInt8(ascii: ".")) {
            whole = false
            guard skipDigits() > 0 else { throw failure("malformed number") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            whole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw failure("malformed number") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole {
            if let int = Int64(text) { return .int(int) }
            if let unsigned = UInt64(text) { return .unsigned(unsigned) }
        }
        guard let double = Double(text), double.isFinite else { throw failure("number out of range") }
        return .double(double)
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count,
            bytes[position..<end].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
        else { throw failure("unexpected character") }
        position = end
        return value
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func peek() -> UInt8? {
        position < bytes.count ? bytes[position] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private func failure(_ what: String) -> JSONError {
        JSONError("invalid JSON at byte \(position): \(what)")
    }
}
