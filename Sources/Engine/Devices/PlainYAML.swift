import OCI

/// The part of YAML in which programs write their files: block mappings and sequences, scalars plain or in quotes, and
/// lists in brackets on one line. What is beyond that (anchors, tags, texts of several lines) is refused by its line.
struct PlainYAML {
    private struct Line {
        let number: Int
        var indent: Int
        var text: Substring
    }

    private var lines: [Line] = []
    private var next = 0
    private static let deepest = 32

    static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw JSONError("the document is not UTF-8") }
        var parser = try PlainYAML(text)
        guard let first = parser.lines.first else { return .null }
        let value = try parser.block(first.indent, depth: 0)
        if parser.next < parser.lines.count { throw parser.failure("is indented as no other line") }
        return value
    }

    private init(_ text: String) throws(JSONError) {
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = Self.withoutComment(raw.hasSuffix("\r") ? raw.dropLast() : raw)
            let content = line.drop { $0 == " " }
            if content.isEmpty || content == "---" || content == "..." { continue }
            guard content.first != "\t", content.first != "%" else {
                throw JSONError("line \(index + 1): tabs and directives are not understood")
            }
            lines.append(Line(number: index + 1, indent: line.count - content.count, text: content))
        }
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        var quote: Character?
        var before: Character = " "
        var end = line.endIndex
        for index in line.indices {
            let character = line[index]
            if let open = quote {
                if open == "\"", before == "\\" {
                    before = " "  // What is escaped ends nothing and escapes nothing.
                    continue
                }
                if character == open { quote = nil }
            } else if character == "\"" || character == "'", " '[{,:".contains(before) {
                quote = character
            } else if character == "#", before == " " {
                end = index
                break
            }
            before = character
        }
        var content = line[..<end]
        while content.last == " " || content.last == "\t" { content.removeLast() }
        return content
    }

    private func failure(_ text: String) -> JSONError {
        JSONError("line \(next < lines.count ? lines[next].number : lines.last?.number ?? 0) \(text)")
    }

    // MARK: Blocks

    private mutating func block(_ indent: Int, depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.deepest else { throw failure("is nested too deeply") }
        return Self.isItem(lines[next].text) ? try sequence(indent, depth) : try mapping(indent, depth)
    }

    private static func isItem(_ text: Substring) -> Bool { text == "-" || text.hasPrefix("- ") }

    private mutating func sequence(_ indent: Int, _ depth: Int) throws(JSONError) -> JSONValue {
        var items: [JSONValue] = []
        while next < lines.count, lines[next].indent == indent, Self.isItem(lines[next].text) {
            let rest = lines[next].text.dropFirst().drop { $0 == " " }
            if rest.isEmpty {
                next += 1
                items.append(try nested(below: indent, depth))
            } else if Self.isItem(rest) || Self.key(rest) != nil {
                // What begins behind the dash goes on below its first letter.
                lines[next].indent += lines[next].text.count - rest.count
                lines[next].text = rest
                items.append(try block(lines[next].indent, depth: depth + 1))
            } else {
                items.append(try scalar(rest))
                next += 1
            }
        }
        return .array(items)
    }

    private mutating func mapping(_ indent: Int, _ depth: Int) throws(JSONError) -> JSONValue {
        guard Self.key(lines[next].text) != nil else {
            defer { next += 1 }
            return try scalar(lines[next].text)
        }
        var members: [(String, JSONValue)] = []
        while next < lines.count, lines[next].indent == indent, !Self.isItem(lines[next].text) {
            guard let (name, rest) = Self.key(lines[next].text) else { throw failure("has no name before a colon") }
            guard !members.contains(where: { $0.0 == name }) else { throw failure("repeats the name \(name)") }
            if rest.isEmpty {
                next += 1
                members.append((name, try nested(below: indent, depth, orItems: true)))
            } else {
                members.append((name, try scalar(rest)))
                next += 1
            }
        }
        return .object(members)
    }

    /// What stands deeper than a line without a value; the items of a list may stand as deep as its name.
    private mutating func nested(below indent: Int, _ depth: Int, orItems: Bool = false) throws(JSONError) -> JSONValue {
        guard next < lines.count else { return .null }
        let line = lines[next]
        guard line.indent > indent || orItems && line.indent == indent && Self.isItem(line.text) else { return .null }
        return try block(line.indent, depth: depth + 1)
    }

    /// `name: value` in its two parts; nil for what is no such line.
    private static func key(_ text: Substring) -> (name: String, rest: Substring)? {
        if let quote = text.first, quote == "\"" || quote == "'" {
            guard let end = text.dropFirst().firstIndex(of: quote) else { return nil }
            let rest = text[text.index(after: end)...]
            guard rest == ":" || rest.hasPrefix(": ") else { return nil }
            return (String(text[..<end].dropFirst()), rest.dropFirst().drop { $0 == " " })
        }
        guard let first = text.first, !"[{&*!|>@`".contains(first) else { return nil }
        for index in text.indices where text[index] == ":" {
            let rest = text[text.index(after: index)...]
            if rest.isEmpty || rest.first == " " { return (String(text[..<index]), rest.drop { $0 == " " }) }
        }
        return nil
    }

    // MARK: Scalars

    private func scalar(_ text: Substring) throws(JSONError) -> JSONValue {
        var rest = text
        let value = try flow(&rest, inList: false, depth: 0)
        guard rest.allSatisfy({ $0 == " " }) else { throw failure("has something behind its value: \(rest)") }
        return value
    }

    private func flow(_ rest: inout Substring, inList: Bool, depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.deepest else { throw failure("is nested too deeply") }
        rest = rest.drop { $0 == " " }
        switch rest.first {
        case "[": return try list(&rest, depth)
        case "{":
            guard let end = rest.firstIndex(of: "}"), rest[..<end].dropFirst().allSatisfy({ $0 == " " }) else {
                throw failure("has a mapping in braces, which is not understood")
            }
            rest = rest[rest.index(after: end)...]
            return .object([])
        case "\"": return try quoted(&rest)
        case "'": return try plainQuoted(&rest)
        case .some(let first) where "&*!|>@`".contains(first):
            throw failure("begins a value with \(first), which is not understood")
        default:
            var word = inList ? rest.prefix { $0 != "," && $0 != "]" } : rest
            rest = rest[word.endIndex...]
            while word.last == " " { word.removeLast() }
            return Self.plain(word)
        }
    }

    private func list(_ rest: inout Substring, _ depth: Int) throws(JSONError) -> JSONValue {
        var items: [JSONValue] = []
        rest = rest.dropFirst().drop { $0 == " " }
        while let first = rest.first {
            if first == "]" {
                rest = rest.dropFirst()
                return .array(items)
            }
            items.append(try flow(&rest, inList: true, depth: depth + 1))
            rest = rest.drop { $0 == " " }
            if rest.first == "," { rest = rest.dropFirst().drop { $0 == " " } }
        }
        throw failure("has a list that does not end")
    }

    /// Escapes are those of JSON.
    private func quoted(_ rest: inout Substring) throws(JSONError) -> JSONValue {
        var isEscaped = false
        for index in rest.indices.dropFirst() {
            if rest[index] == "\"", !isEscaped {
                let token = rest[...index]
                rest = rest[rest.index(after: index)...]
                return try JSONValue.parse(Array(token.utf8))
            }
            isEscaped = rest[index] == "\\" && !isEscaped
        }
        throw failure("has a text without its closing quote")
    }

    private func plainQuoted(_ rest: inout Substring) throws(JSONError) -> JSONValue {
        var text = ""
        rest = rest.dropFirst()
        while let character = rest.popFirst() {
            if character != "'" {
                text.append(character)
            } else if rest.first == "'" {
                text.append("'")
                rest = rest.dropFirst()
            } else {
                return .string(text)
            }
        }
        throw failure("has a text without its closing quote")
    }

    private static func plain(_ word: Substring) -> JSONValue {
        switch word {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        let digits = word.hasPrefix("-") ? word.dropFirst() : word
        if digits.hasPrefix("0x"), let number = Int64(digits.dropFirst(2), radix: 16) { return .int(number) }
        if digits.hasPrefix("0o"), let number = Int64(digits.dropFirst(2), radix: 8) { return .int(number) }
        if digits.count > 1, digits.hasPrefix("0"), let number = Int64(digits, radix: 8) { return .int(number) }
        if !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int64(word) { return .int(number) }
        return .string(String(word))
    }
}
