import OCI

/// A value inside a template: JSON, or a function of the row that is shown (`.Label "x"`).
enum TemplateValue: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(String)
    case array([TemplateValue])
    /// Members in the order in which they are shown.
    case object([(String, TemplateValue)])
    case function(@Sendable ([TemplateValue]) throws -> TemplateValue)

    init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let bool): self = .bool(bool)
        case .int(let integer): self = .integer(integer)
        case .unsigned(let unsigned): self = .double(Double(unsigned))
        case .double(let double): self = .double(double)
        case .string(let string): self = .string(string)
        case .array(let elements): self = .array(elements.map(TemplateValue.init))
        case .object(let members): self = .object(members.map { ($0.0, TemplateValue($0.1)) })
        }
    }

    var json: JSONValue {
        switch self {
        case .null, .function: .null
        case .bool(let bool): .bool(bool)
        case .integer(let integer): .int(integer)
        case .double(let double): .double(double)
        case .string(let string): .string(string)
        case .array(let elements): .array(elements.map(\.json))
        case .object(let members):
            .object(
                members.compactMap { member in
                    if case .function = member.1 { nil } else { (member.0, member.1.json) }
                })
        }
    }

    /// Whether `if` takes it for true: not empty, not zero.
    var isTrue: Bool {
        switch self {
        case .null: false
        case .bool(let bool): bool
        case .integer(let integer): integer != 0
        case .double(let double): double != 0
        case .string(let string): !string.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        case .function: true
        }
    }

    /// How it is printed: maps and lists as Go shows them.
    var text: String {
        switch self {
        case .null: return "<no value>"
        case .bool(let bool): return String(bool)
        case .integer(let integer): return String(integer)
        case .double(let double): return Self.text(double)
        case .string(let string): return string
        case .array(let elements): return "[\(elements.map(\.text).joined(separator: " "))]"
        case .object(let members):
            let pairs = members.sorted { $0.0 < $1.0 }.map { "\($0.0):\($0.1.text)" }
            return "map[\(pairs.joined(separator: " "))]"
        case .function: return "<function>"
        }
    }

    private static func text(_ double: Double) -> String {
        let whole = double.rounded() == double && abs(double) < 1e21
        return whole && abs(double) < 9e18 ? String(Int64(double)) : "\(double)"
    }

    var number: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        default: nil
        }
    }

    var count: Int? {
        switch self {
        case .string(let string): string.utf8.count
        case .array(let elements): elements.count
        case .object(let members): members.count
        default: nil
        }
    }

    func isEqual(to other: TemplateValue) -> Bool {
        switch (self, other) {
        case (.string(let a), .string(let b)): a == b
        case (.bool(let a), .bool(let b)): a == b
        case (.null, .null): true
        default: if let a = number, let b = other.number { a == b } else { false }
        }
    }
}
