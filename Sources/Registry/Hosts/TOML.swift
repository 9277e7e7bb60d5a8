import OCI

/// Reads TOML (toml.io, version 1.0) as far as settings need it: tables, keys with and without quotes, strings of one line,
/// integers, booleans, lists and inline tables. Floats, dates, strings of several lines and lists of tables are refused.
/// Members stay in the order of the file.
enum TOML {
    static func parse(_ bytes: [UInt8]) throws(TOMLError) -> JSONValue {
        var parser = TOMLParser(bytes)
        return try parser.document()
    }
}

/// What is wrong with a file, and in which line.
struct TOMLError: Error, Equatable, CustomStringConvertible {
    let line: Int
    let reason: String

    var description: String { "line \(line): \(reason)" }
}

/// A table while it is filled.
private final class TOMLTable {
    enum Member {
        case value(JSONValue)
        case table(TOMLTable)
    }

    private(set) var members: [(name: String, member: Member)] = []
    /// By a header of its own, which may come once.
    var isStated = false
    /// Members by dotted keys, which another header must not add to.
    var isClosed = false

    subscript(_ name: String) -> Member? { members.first { $0.name == name }?.member }

    func add(_ name: String, _ member: Member) { members.append((name, member)) }

    var json: JSONValue {
        .object(
            members.map { name, member in
                switch member {
                case .value(let value): (name, value)
                case .table(let table): (name, table.json)
                }
            })
    }
}

private struct TOMLParser {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1

    private static let deepest = 16
    private static let mostMembers = 1000
    private var members = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(TOMLError) -> JSONValue {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw error("the file is not in UTF-8") }
        let root = TOMLTable()
        var table = root
        while true {
            try skipBlank()
            guard let byte = peek() else { return root.json }
            if byte == UInt8(ascii: "[") {
                table = try header(in: root)
            } else {
                try assignment(in: table)
            }
            try endOfLine()
        }
    }

    // MARK: Tables

    private mutating func header(in root: TOMLTable) throws(TOMLError) -> TOMLTable {
        position += 1
        if peek() == UInt8(ascii: "[") { throw error("lists of tables are not supported") }
        let path = try key()
        guard take(UInt8(ascii: "]")) else { throw error("a table's name has to end with ]") }
        var table = root
        for name in path {
            table = try inner(name, of: table)
            if table.isClosed { throw error("the table \(path.joined(separator: ".")) cannot be added to") }
        }
        if table.isStated { throw error("the table \(path.joined(separator: ".")) stands there twice") }
        table.isStated = true
        return table
    }

    private mutating func inner(_ name: String, of table: TOMLTable) throws(TOMLError) -> TOMLTable {
        switch table[name] {
        case .table(let found): return found
        case .value: throw error("\(name) is no table")
        case nil:
            let made = TOMLTable()
            try count()
            table.add(name, .table(made))
            return made
        }
    }

    private mutating func assignment(in table: TOMLTable, depth: Int = 0) throws(TOMLError) {
        let path = try key()
        guard take(UInt8(ascii: "=")) else { throw error("\(path.joined(separator: ".")) has to be followed by =") }
        skipSpaces()
        let value = try value(depth)
        var table = table
        for name in path.dropLast() {
            table = try inner(name, of: table)
            if table.isStated { throw error("the table \(name) has a place of its own") }
            table.isClosed = true
        }
        guard let name = path.last, table[name] == nil else { throw error("\(path.joined(separator: ".")) stands there twice") }
        try count()
        table.add(name, .value(value))
    }

    /// Each is compared with those before it, so there have to be bounds.
    private mutating func count() throws(TOMLError) {
        members += 1
        if members > Self.mostMembers { throw error("more than \(Self.mostMembers) settings") }
    }

    /// `a.b."c d"`, with the blanks around it.
    private mutating func key() throws(TOMLError) -> [String] {
        var path: [String] = []
        repeat {
            skipSpaces()
            switch peek() {
            case UInt8(ascii: "\""): path.append(try basicString())
            case UInt8(ascii: "'"): path.append(try literalString())
            default: path.append(try bareKey())
            }
            if path.count > Self.deepest { throw error("a name of more than \(Self.deepest) parts") }
            skipSpaces()
        } while take(UInt8(ascii: "."))
        return path
    }

    private mutating func bareKey() throws(TOMLError) -> String {
        let start = position
        while let byte = peek(), Self.isBare(byte) { position += 1 }
        guard position > start else { throw error("a name is missing") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: Values

    private mutating func value(_ depth: Int) throws(TOMLError) -> JSONValue {
        guard depth <= Self.deepest else { throw error("lists in more than \(Self.deepest) lists") }
        switch peek() {
        case UInt8(ascii: "\""): return .string(try basicString())
        case UInt8(ascii: "'"): return .string(try literalString())
        case UInt8(ascii: "["): return .array(try list(depth))
        case UInt8(ascii: "{"): return try inlineTable(depth)
        default: return try word()
        }
    }

    private mutating func list(_ depth: Int) throws(TOMLError) -> [JSONValue] {
        position += 1
        var elements: [JSONValue] = []
        while true {
            try skipBlank()
            if take(UInt8(ascii: "]")) { return elements }
            try count()
            elements.append(try value(depth + 1))
            try skipBlank()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw error("a list has to end with ]") }
            return elements
        }
    }

    private mutating func inlineTable(_ depth: Int) throws(TOMLError) -> JSONValue {
        position += 1
        let table = TOMLTable()
        skipSpaces()
        if take(UInt8(ascii: "}")) { return table.json }
        repeat { try assignment(in: table, depth: depth + 1) } while takeAfterSpaces(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw error("an inline table has to end with }") }
        return table.json
    }

    private mutating func takeAfterSpaces(_ byte: UInt8) -> Bool {
        skipSpaces()
        return take(byte)
    }

    /// `true`, `false` and whole numbers.
    private mutating func word() throws(TOMLError) -> JSONValue {
        let start = position
        while let byte = peek(), Self.isBare(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") {
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        switch text {
        case "": throw error("a value is missing")
        case "true": return .bool(true)
        case "false": return .bool(false)
        default:
            let digits = text.filter { $0 != "_" }
            guard let number = Int64(digits), !text.hasPrefix("_"), !text.hasSuffix("_") else {
                throw error("\(text) is neither a string in quotes, nor a whole number, nor true or false")
            }
            return .int(number)
        }
    }

    private mutating func literalString() throws(TOMLError) -> String {
        try refuseSeveralLines(UInt8(ascii: "'"))
        position += 1
        let start = position
        while let byte = peek(), byte != UInt8(ascii: "'") {
            try checkCharacter(byte)
            position += 1
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard take(UInt8(ascii: "'")) else { throw error("a string has no end") }
        return text
    }

    private mutating func basicString() throws(TOMLError) -> String {
        try refuseSeveralLines(UInt8(ascii: "\""))
        position += 1
        var text: [UInt8] = []
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            try checkCharacter(byte)
            position += 1
            if byte == UInt8(ascii: "\\") { try escape(&text) } else { text.append(byte) }
        }
        guard take(UInt8(ascii: "\"")) else { throw error("a string has no end") }
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func escape(_ text: inout [UInt8]) throws(TOMLError) {
        guard let byte = peek() else { throw error("a string has no end") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(byte)
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let digits = bytes[position...].prefix(byte == UInt8(ascii: "u") ? 4 : 8)
            guard digits.count == (byte == UInt8(ascii: "u") ? 4 : 8), digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let scalar = UInt32(String(decoding: digits, as: UTF8.self), radix: 16).flatMap(Unicode.Scalar.init)
            else { throw error("\\\(Character(Unicode.Scalar(byte))) is followed by no character's number") }
            position += digits.count
            text += Array(String(Character(scalar)).utf8)
        default: throw error("an unknown character after \\")
        }
    }

    private func refuseSeveralLines(_ quote: UInt8) throws(TOMLError) {
        if bytes[position...].starts(with: [quote, quote, quote]) { throw error("strings of several lines are not supported") }
    }

    private func checkCharacter(_ byte: UInt8) throws(TOMLError) {
        if byte == 0x0A { throw error("a string has no end") }
        if (byte < 0x20 && byte != 0x09) || byte == 0x7F { throw error("a control character in a string") }
    }

    // MARK: Blanks

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpaces() {
        while let byte = peek(), byte == 0x20 || byte == 0x09 { position += 1 }
    }

    /// Spaces, line ends and remarks.
    private mutating func skipBlank() throws(TOMLError) {
        while true {
            skipSpaces()
            switch peek() {
            case UInt8(ascii: "#"): try skipRemark()
            case 0x0A:
                position += 1
                line += 1
            case 0x0D: try carriageReturn()
            default: return
            }
        }
    }

    private mutating func skipRemark() throws(TOMLError) {
        while let byte = peek(), byte != 0x0A, byte != 0x0D {
            if (byte < 0x20 && byte != 0x09) || byte == 0x7F { throw error("a control character in a remark") }
            position += 1
        }
    }

    private mutating func carriageReturn() throws(TOMLError) {
        position += 1
        guard peek() == 0x0A else { throw error("a carriage return without a line feed") }
    }

    private mutating func endOfLine() throws(TOMLError) {
        skipSpaces()
        if peek() == UInt8(ascii: "#") { try skipRemark() }
        if peek() == 0x0D { try carriageReturn() }
        guard peek() == nil || peek() == 0x0A else { throw error("something stands behind the value") }
    }

    private func error(_ reason: String) -> TOMLError { TOMLError(line: line, reason: reason) }
}
