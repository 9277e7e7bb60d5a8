import OCI

/// The functions of templates: those of Go's language, and the ones that Docker adds.
enum TemplateFunctions {
    static let names: Set<String> = [
        "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print", "printf", "println",
        "json", "join", "split", "lower", "upper", "title", "pad", "truncate",
    ]

    static func call(_ name: String, _ arguments: [TemplateValue]) throws -> TemplateValue {
        switch name {
        case "print": return .string(arguments.map(\.text).joined(separator: " "))
        case "println": return .string(arguments.map(\.text).joined(separator: " ") + "\n")
        case "not", "json", "len", "lower", "upper", "title": return try unary(name, try first(name, arguments))
        case "eq", "ne", "lt", "le", "gt", "ge": return try compare(name, arguments)
        case "and", "or": return arguments.first { $0.isTrue == (name == "or") } ?? arguments.last ?? .null
        case "index": return try index(arguments)
        case "slice": return try slice(arguments)
        case "join", "split": return try joinOrSplit(name, arguments)
        case "pad", "truncate": return try padOrTruncate(name, arguments)
        case "printf": return .string(try format(arguments))
        default: throw TemplateError("template: :1: function \"\(name)\" not defined")
        }
    }

    private static func first(_ name: String, _ arguments: [TemplateValue]) throws -> TemplateValue {
        guard arguments.count == 1 else { throw wrongCount(name, arguments) }
        return arguments[0]
    }

    private static func wrongCount(_ name: String, _ arguments: [TemplateValue]) -> TemplateError {
        TemplateError("template: :1: executing \"\" at <\(name)>: wrong number of args for \(name): got \(arguments.count)")
    }

    private static func unary(_ name: String, _ value: TemplateValue) throws -> TemplateValue {
        switch name {
        case "not": return .bool(!value.isTrue)
        case "json": return .string(String(decoding: value.json.serialized(), as: UTF8.self))
        case "lower": return .string(value.text.lowercased())
        case "upper": return .string(value.text.uppercased())
        case "title":
            return .string(value.text.prefix(1).uppercased() + value.text.dropFirst())
        default:
            guard let count = value.count else { throw TemplateError("template: :1: error calling len: len of type without length") }
            return .integer(Int64(count))
        }
    }

    private static func compare(_ name: String, _ arguments: [TemplateValue]) throws -> TemplateValue {
        guard arguments.count >= 2 else { throw wrongCount(name, arguments) }
        let (left, right) = (arguments[0], arguments[1])
        switch name {
        case "eq": return .bool(arguments.dropFirst().contains { left.isEqual(to: $0) })
        case "ne": return .bool(!left.isEqual(to: right))
        default: break
        }
        let order: Int
        if let a = left.number, let b = right.number {
            order = a < b ? -1 : a > b ? 1 : 0
        } else if case .string(let a) = left, case .string(let b) = right {
            order = a < b ? -1 : a > b ? 1 : 0
        } else {
            throw TemplateError("template: :1: error calling \(name): incompatible types for comparison")
        }
        switch name {
        case "lt": return .bool(order < 0)
        case "le": return .bool(order <= 0)
        case "gt": return .bool(order > 0)
        default: return .bool(order >= 0)
        }
    }

    private static func index(_ arguments: [TemplateValue]) throws -> TemplateValue {
        guard var value = arguments.first else { throw wrongCount("index", arguments) }
        for key in arguments.dropFirst() {
            switch (value, key) {
            case (.object(let members), .string(let name)):
                value = members.first { $0.0 == name }?.1 ?? .null
            case (.array(let elements), .integer(let position)):
                guard elements.indices.contains(Int(position)) else {
                    throw TemplateError("template: :1: error calling index: index out of range: \(position)")
                }
                value = elements[Int(position)]
            case (.null, _): throw TemplateError("template: :1: error calling index: index of untyped nil")
            default: throw TemplateError("template: :1: error calling index: cannot index with \(key.text)")
            }
        }
        return value
    }

    private static func slice(_ arguments: [TemplateValue]) throws -> TemplateValue {
        guard let value = arguments.first, let count = value.count else { throw wrongCount("slice", arguments) }
        let bounds = arguments.dropFirst().compactMap(\.number).map { Int($0) }
        let (from, to) = (bounds.first ?? 0, bounds.count > 1 ? bounds[1] : count)
        guard 0 <= from, from <= to, to <= count else {
            throw TemplateError("template: :1: error calling slice: index out of range: \(to)")
        }
        switch value {
        case .array(let elements): return .array(Array(elements[from..<to]))
        case .string(let text): return .string(String(decoding: Array(text.utf8)[from..<to], as: UTF8.self))
        default: throw TemplateError("template: :1: error calling slice: can't slice item of this type")
        }
    }

    /// `join LIST SEP`, `split TEXT SEP`
    private static func joinOrSplit(_ name: String, _ arguments: [TemplateValue]) throws -> TemplateValue {
        guard arguments.count == 2 else { throw wrongCount(name, arguments) }
        let separator = arguments[1].text
        if name == "join" {
            switch arguments[0] {
            case .array(let elements): return .string(elements.map(\.text).joined(separator: separator))
            case .null: return .string("")
            default: throw TemplateError("template: :1: error calling join: expected a list")
            }
        }
        let text = arguments[0].text
        if separator.isEmpty { return .array(text.map { .string(String($0)) }) }
        var parts: [TemplateValue] = []
        var rest = text[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(.string(String(rest[..<range.lowerBound])))
            rest = rest[range.upperBound...]
        }
        return .array(parts + [.string(String(rest))])
    }

    /// `pad TEXT BEFORE AFTER`, `truncate TEXT LENGTH`
    private static func padOrTruncate(_ name: String, _ arguments: [TemplateValue]) throws -> TemplateValue {
        let numbers = arguments.dropFirst().compactMap(\.number).map { Int($0) }
        guard let text = arguments.first?.text, numbers.count == (name == "pad" ? 2 : 1) else {
            throw wrongCount(name, arguments)
        }
        if name == "truncate" { return .string(String(text.prefix(max(0, numbers[0])))) }
        guard !text.isEmpty else { return .string("") }
        func blanks(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
        return .string(blanks(numbers[0]) + text + blanks(numbers[1]))
    }

    /// `printf` with `%s %v %d %q %t %x %%` and a width.
    private static func format(_ arguments: [TemplateValue]) throws -> String {
        guard let pattern = arguments.first?.text else { throw wrongCount("printf", arguments) }
        var values = arguments.dropFirst()
        var result = ""
        var rest = pattern[...]
        while let character = rest.popFirst() {
            guard character == "%" else {
                result.append(character)
                continue
            }
            let options = rest.prefix { $0 == "-" || $0.isNumber || $0 == "." || $0 == "+" }
            rest = rest.dropFirst(options.count)
            guard let verb = rest.popFirst() else { break }
            if verb == "%" {
                result.append("%")
                continue
            }
            let value = values.popFirst() ?? .string("%!\(verb)(MISSING)")
            result += padded(text(value, verb), options)
        }
        return result
    }

    private static func text(_ value: TemplateValue, _ verb: Character) -> String {
        switch (verb, value) {
        case ("q", _): HumanText.quoted(value.text)
        case ("x", .integer(let integer)): String(integer, radix: 16)
        default: value.text
        }
    }

    private static func padded(_ text: String, _ options: Substring) -> String {
        let left = options.hasPrefix("-")
        let digits = options.drop { $0 == "-" || $0 == "+" }.prefix(while: \.isNumber)
        let missing = (Int(digits) ?? 0) - text.count
        guard missing > 0 else { return text }
        let blanks = String(repeating: " ", count: missing)
        return left ? text + blanks : blanks + text
    }
}
