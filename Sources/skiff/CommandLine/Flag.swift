/// What the parser, the help and the completion need to know about a flag, whatever the type of its value.
protocol FlagDefinition: Sendable {
    var name: String { get }
    var short: Character? { get }
    /// What stands for the value in the help; empty for a switch.
    var placeholder: String { get }
    var help: String { get }
    var isHidden: Bool { get }
    var isSwitch: Bool { get }
    func apply(_ text: String, to values: inout FlagValues) throws
}

/// A flag with a typed value. Commands keep it in a constant and read it from `FlagValues` by subscript.
struct Flag<Value: Sendable>: FlagDefinition {
    let name: String
    var short: Character?
    let placeholder: String
    let help: String
    var isHidden = false
    let isSwitch: Bool
    let initial: Value
    let parse: @Sendable (String, inout Value) throws -> Void

    func apply(_ text: String, to values: inout FlagValues) throws {
        var value = values[self]
        try parse(text, &value)
        values.set(self, value)
    }

    /// The same flag, left out of the help.
    func hidden() -> Flag {
        var copy = self
        copy.isHidden = true
        return copy
    }
}

/// A second name of a flag, left out of the help.
struct RenamedFlag: FlagDefinition {
    let name: String
    let of: any FlagDefinition

    var short: Character? { nil }
    var placeholder: String { of.placeholder }
    var help: String { of.help }
    var isHidden: Bool { true }
    var isSwitch: Bool { of.isSwitch }

    func apply(_ text: String, to values: inout FlagValues) throws { try of.apply(text, to: &values) }
}

/// The flags that were given, with their values.
struct FlagValues: Sendable {
    private var values: [String: any Sendable] = [:]

    subscript<Value>(flag: Flag<Value>) -> Value { values[flag.name] as? Value ?? flag.initial }

    /// Whether the flag stands on the command line, even with its initial value.
    func isGiven(_ flag: any FlagDefinition) -> Bool { values[flag.name] != nil }

    mutating func set<Value>(_ flag: Flag<Value>, _ value: Value) { values[flag.name] = value }
}

/// A value that a flag does not take; the parser adds which flag it was.
struct FlagValueError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

extension Flag {
    init(
        _ name: String, _ short: Character?, _ placeholder: String, _ initial: Value, _ help: String,
        parse: @escaping @Sendable (String, inout Value) throws -> Void
    ) {
        self.init(
            name: name, short: short, placeholder: placeholder, help: help, isSwitch: false, initial: initial,
            parse: parse)
    }
}

extension Flag where Value == Bool {
    static func toggle(_ name: String, short: Character? = nil, initially: Bool = false, _ help: String) -> Flag {
        Flag(name: name, short: short, placeholder: "", help: help, isSwitch: true, initial: initially) {
            switch $0 {
            case "1", "t", "T", "true", "TRUE", "True": $1 = true
            case "0", "f", "F", "false", "FALSE", "False": $1 = false
            default: throw FlagValueError("strconv.ParseBool: parsing \"\($0)\": invalid syntax")
            }
        }
    }
}

extension Flag where Value == String {
    static func text(
        _ name: String, short: Character? = nil, initially: String = "", as placeholder: String = "string",
        _ help: String, check: @escaping @Sendable (String) throws -> Void = { _ in }
    ) -> Flag {
        Flag(name, short, placeholder, initially, help) {
            try check($0)
            $1 = $0
        }
    }
}

extension Flag where Value == String? {
    /// A text of which it matters whether it was given.
    static func optional(_ name: String, short: Character? = nil, _ help: String) -> Flag {
        Flag(name, short, "string", nil, help) { $1 = $0 }
    }
}

extension Flag where Value == [String] {
    /// May be given several times.
    static func list(
        _ name: String, short: Character? = nil, as placeholder: String = "list", _ help: String,
        check: @escaping @Sendable (String) throws -> Void = { _ in }
    ) -> Flag {
        Flag(name, short, placeholder, [], help) {
            try check($0)
            $1.append($0)
        }
    }

    /// `--filter key=value`
    static func filter(_ help: String) -> Flag {
        list("filter", short: "f", as: "filter", help) {
            guard $0.contains("=") else { throw FlagValueError("bad format of filter (expected name=value)") }
        }
    }
}

extension Flag where Value == Int64? {
    static func integer(_ name: String, short: Character? = nil, _ help: String) -> Flag {
        Flag(name, short, "int", nil, help) { $1 = try parsedInteger($0) }
    }

    /// An amount such as `512m`.
    static func bytes(_ name: String, short: Character? = nil, _ help: String, orUnlimited: Bool = false) -> Flag {
        Flag(name, short, "bytes", nil, help) {
            $1 = orUnlimited && $0 == "-1" ? -1 : try byteCount($0)
        }
    }

    /// An amount per second such as `10mbit` or `1m`, in bytes.
    static func rate(_ name: String, _ help: String) -> Flag {
        Flag(name, nil, "rate", nil, help) { $1 = try byteRate($0) }
    }

    static func duration(_ name: String, _ help: String) -> Flag {
        Flag(name, nil, "duration", nil, help) { $1 = try nanoseconds($0) }
    }

    /// A decimal number of processors, in billionths.
    static func processors(_ name: String, _ help: String) -> Flag {
        Flag(name, nil, "decimal", nil, help) { $1 = try nanoProcessors($0) }
    }
}

func parsedInteger(_ text: String) throws -> Int64 {
    guard let number = Int64(text) else {
        throw FlagValueError("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
    }
    return number
}
