/// A template that cannot be read or run; the text is that of Go's templates.
struct TemplateError: Error, Equatable {
    let message: String
    init(_ message: String) { self.message = message }
}

/// The words inside `{{ }}`.
enum TemplateToken: Equatable, Sendable {
    case field([String])  // .A.B; empty is the dot alone
    case variable(String, [String])  // $x.A.B
    case identifier(String)
    case string(String)
    case number(Double, isInteger: Bool)
    case pipe, open, close, declare, assign, comma
    case chain([String])  // .A after a closing parenthesis
}

/// A template in pieces: text as it is, and actions as words.
enum TemplatePiece: Equatable, Sendable {
    case text(String)
    case action([TemplateToken])

    static func pieces(of template: String) throws -> [TemplatePiece] {
        var pieces: [TemplatePiece] = []
        var rest = template[...]
        var trimNext = false
        while let open = rest.firstRange(of: "{{") {
            var text = rest[..<open.lowerBound]
            rest = rest[open.upperBound...]
            let (body, after) = try action(rest)
            rest = after
            var inner = body
            if trimNext { text = text.drop(while: \.isWhitespace) }
            if inner.hasPrefix("- ") {
                inner = inner.dropFirst(2)
                while text.last?.isWhitespace == true { text.removeLast() }
            }
            trimNext = inner.hasSuffix(" -")
            if trimNext { inner = inner.dropLast(2) }
            if !text.isEmpty { pieces.append(.text(String(text))) }
            if !inner.drop(while: \.isWhitespace).hasPrefix("/*") {
                var lexer = TemplateLexer(inner)
                pieces.append(.action(try lexer.tokens()))
            }
        }
        if trimNext { rest = rest.drop(while: \.isWhitespace) }
        if !rest.isEmpty { pieces.append(.text(String(rest))) }
        return pieces
    }

    /// Everything up to the closing braces that do not stand in quotes.
    private static func action(_ text: Substring) throws -> (Substring, Substring) {
        var index = text.startIndex
        var quote: Character?
        while index < text.endIndex {
            let character = text[index]
            if let open = quote {
                if character == "\\", open == "\"" { index = text.index(after: index) }
                if character == open { quote = nil }
            } else if character == "\"" || character == "`" {
                quote = character
            } else if text[index...].hasPrefix("}}") {
                return (text[..<index], text[index...].dropFirst(2))
            }
            guard index < text.endIndex else { break }
            index = text.index(after: index)
        }
        throw TemplateError("template: :1: unclosed action")
    }
}

struct TemplateLexer {
    private var rest: Substring

    init(_ text: Substring) { rest = text }

    mutating func tokens() throws -> [TemplateToken] {
        var tokens: [TemplateToken] = []
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else {
                tokens.append(try next(first, afterClose: tokens.last == .close))
            }
        }
        return tokens
    }

    private mutating func next(_ first: Character, afterClose: Bool) throws -> TemplateToken {
        switch first {
        case "|": return single(.pipe)
        case "(": return single(.open)
        case ")": return single(.close)
        case ",": return single(.comma)
        case "=": return single(.assign)
        case ":" where rest.hasPrefix(":="):
            rest.removeFirst(2)
            return .declare
        case "\"", "`": return .string(try quoted(first))
        case ".": return afterClose ? .chain(fields()) : .field(fields())
        case "$":
            rest.removeFirst()
            return .variable(word(), fields())
        default:
            if first.isNumber || first == "-" || first == "+" { return try number() }
            let name = word()
            guard !name.isEmpty else {
                throw TemplateError("template: :1: unexpected \"\(first)\" in command")
            }
            return .identifier(name)
        }
    }

    private mutating func single(_ token: TemplateToken) -> TemplateToken {
        rest.removeFirst()
        return token
    }

    private mutating func word() -> String {
        let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        rest = rest.dropFirst(word.count)
        return String(word)
    }

    private mutating func fields() -> [String] {
        var fields: [String] = []
        while rest.first == "." {
            rest.removeFirst()
            let name = word()
            if name.isEmpty { break }
            fields.append(name)
        }
        return fields
    }

    private mutating func number() throws -> TemplateToken {
        let text = rest.prefix { $0.isNumber || "+-.eE".contains($0) }
        rest = rest.dropFirst(text.count)
        guard let value = Double(text) else {
            throw TemplateError("template: :1: bad number syntax: \"\(text)\"")
        }
        return .number(value, isInteger: Int64(text) != nil)
    }

    private mutating func quoted(_ quote: Character) throws -> String {
        rest.removeFirst()
        var text = ""
        while let character = rest.popFirst() {
            if character == quote { return text }
            guard character == "\\", quote == "\"", let escaped = rest.popFirst() else {
                text.append(character)
                continue
            }
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            default: text.append(escaped)
            }
        }
        throw TemplateError("template: :1: unterminated quoted string")
    }
}
