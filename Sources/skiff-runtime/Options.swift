/// The options of a command, in the manner of Go's programs: `-name`, `--name`, `--name value`, `--name=value`, up to the
/// first word that is no option, or up to `--`. Where options may also follow that word, they are taken from anywhere.
struct Options {
    // Lists, not dictionaries: they are short, and each kind of dictionary costs a start more than it saves.
    private var values: [(name: String, value: String)] = []
    private var flags: [String] = []
    private(set) var rest: [String] = []

    /// What a command knows: names without dashes, each with its other names.
    struct Known {
        var values: [[String]] = []
        var flags: [[String]] = []

        /// The first of an option's names.
        func value(_ name: String) -> String? { values.first { $0.contains(name) }?.first }
        func flag(_ name: String) -> String? { flags.first { $0.contains(name) }?.first }
    }

    /// With `allowsHelp`, `-h` and `--help` are the flag `help`.
    init(_ arguments: [String], _ known: Known, allowsHelp: Bool = false, anywhere: Bool = false) throws {
        var words = arguments[...]
        var passed: [String] = []
        while let word = words.first {
            if word == "--" {
                words = words.dropFirst()
                break
            }
            if !word.hasPrefix("-") || word == "-" {
                guard anywhere else { break }
                passed.append(word)
                words = words.dropFirst()
                continue
            }
            words = words.dropFirst()
            let body = word.drop { $0 == "-" }
            let equals = body.firstIndex(of: "=")
            let name = String(body[..<(equals ?? body.endIndex)])
            let given = equals.map { String(body[body.index(after: $0)...]) }
            if allowsHelp, name == "h" || name == "help", known.flag(name) == nil {
                flags.append("help")
            } else if let canonical = known.flag(name) {
                switch given {
                case nil, "true", "1": flags.append(canonical)
                case "false", "0": flags.removeAll { $0 == canonical }
                default: throw UsageError("invalid value for flag -\(name)")
                }
            } else if let canonical = known.value(name) {
                guard let value = given ?? words.first else { throw UsageError("flag needs an argument: -\(name)") }
                if given == nil { words = words.dropFirst() }
                values.append((canonical, value))
            } else {
                throw UsageError("flag provided but not defined: -\(name)")
            }
        }
        rest = passed + words
    }

    /// The last value given.
    subscript(_ name: String) -> String? { values.last { $0.name == name }?.value }

    /// All that were given, in their order.
    func all(_ name: String) -> [String] { values.filter { $0.name == name }.map(\.value) }

    func has(_ flag: String) -> Bool { flags.contains(flag) }

    /// A number; nothing else will do.
    func number(_ name: String) throws -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), (0...1024).contains(number) else {
            throw UsageError("invalid value \"\(text)\" for flag -\(name)")
        }
        return number
    }
}

/// A command line that cannot be understood.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    /// What is told besides, on standard output.
    let help: String

    init(_ description: String, help: String = "") {
        self.description = description
        self.help = help
    }
}
