/// A command line that cannot be read. The text is the one that Docker prints.
struct UsageError: Error, Equatable {
    let message: String
    init(_ message: String) { self.message = message }
}

/// Splits arguments into flags and the rest, by the rules of the GNU style that Docker follows: `--name value`,
/// `--name=value`, `-n value`, `-nvalue`, `-n=value`, switches together as in `-it`, `--` ends the flags.
struct FlagParser {
    let flags: [any FlagDefinition]
    /// Everything from the first argument that is no flag belongs to the command of a container.
    let stopsAtFirstArgument: Bool

    struct Parsed: Sendable {
        var values = FlagValues()
        var arguments: [String] = []
        var asksForHelp = false
    }

    func parse(_ arguments: [String]) throws -> Parsed {
        var parsed = Parsed()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                parsed.arguments += rest
                break
            } else if argument.hasPrefix("--") {
                try long(argument.dropFirst(2), &rest, &parsed)
            } else if argument.hasPrefix("-"), argument != "-" {
                try shorts(argument, &rest, &parsed)
            } else {
                parsed.arguments.append(argument)
                guard stopsAtFirstArgument else { continue }
                parsed.arguments += rest
                break
            }
            if parsed.asksForHelp { break }
        }
        return parsed
    }

    private func long(_ text: Substring, _ rest: inout ArraySlice<String>, _ parsed: inout Parsed) throws {
        let name = text.prefix { $0 != "=" }
        guard !name.isEmpty else { throw UsageError("bad flag syntax: --\(text)") }
        guard let flag = flags.first(where: { $0.name == name }) else {
            if name == "help" {
                parsed.asksForHelp = true
                return
            }
            throw UsageError("unknown flag: --\(name)")
        }
        if name.endIndex < text.endIndex {
            try apply(flag, String(text[name.endIndex...].dropFirst()), &parsed)
        } else if flag.isSwitch {
            try apply(flag, "true", &parsed)
        } else if let value = rest.popFirst() {
            try apply(flag, value, &parsed)
        } else {
            throw UsageError("flag needs an argument: --\(name)")
        }
    }

    private func shorts(_ argument: String, _ rest: inout ArraySlice<String>, _ parsed: inout Parsed) throws {
        var letters = argument.dropFirst()
        while let letter = letters.popFirst() {
            guard let flag = flags.first(where: { $0.short == letter }) else {
                if letter == "h" {
                    parsed.asksForHelp = true
                    return
                }
                throw UsageError("unknown shorthand flag: '\(letter)' in -\(letter)\(letters)")
            }
            if letters.first == "=" {
                return try apply(flag, String(letters.dropFirst()), &parsed)
            } else if flag.isSwitch {
                try apply(flag, "true", &parsed)
            } else if !letters.isEmpty {
                return try apply(flag, String(letters), &parsed)
            } else if let value = rest.popFirst() {
                return try apply(flag, value, &parsed)
            } else {
                throw UsageError("flag needs an argument: '\(letter)' in -\(letter)")
            }
        }
    }

    private func apply(_ flag: any FlagDefinition, _ text: String, _ parsed: inout Parsed) throws {
        do {
            try flag.apply(text, to: &parsed.values)
        } catch {
            let names = flag.short.map { "-\($0), --\(flag.name)" } ?? "--\(flag.name)"
            throw UsageError("invalid argument \"\(text)\" for \"\(names)\" flag: \(Failure.text(error))")
        }
    }
}
