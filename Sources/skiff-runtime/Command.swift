import OCIRuntime

/// One command of the program: what it takes and what it does.
struct Command: Sendable {
    /// An option by its names, the longest first, with what its value is called; without one it is a switch.
    struct Option: Sendable {
        let names: [String]
        let value: String?
        let text: String

        init(_ names: String..., value: String, _ text: String) {
            self.names = names
            self.value = value
            self.text = text
        }

        /// A switch: its names, and at last its text.
        init(_ namesAndText: String...) {
            names = namesAndText.dropLast()
            value = nil
            text = namesAndText.last ?? ""
        }

        fileprivate var line: String {
            let names = names.map { ($0.count == 1 ? "-" : "--") + $0 }.joined(separator: ", ")
            return "   \(names)\(value.map { " \($0)" } ?? "")"
        }
    }

    let name: String
    let usage: String
    /// How many words have to follow the options.
    let words: ClosedRange<Int>
    let text: String
    var options: [Option] = []
    /// Whether options may stand after the first other word too; not where what follows is another program's.
    var optionsAnywhere: Bool { words.upperBound != Self.atMost }
    var run: @Sendable (RuntimeRoot, Options) throws -> Int32

    static let atMost = Int.max

    var known: Options.Known {
        Options.Known(
            values: options.filter { $0.value != nil }.map(\.names), flags: options.filter { $0.value == nil }.map(\.names))
    }

    /// Reads the words after the command's name and does what they say.
    func callAsFunction(_ root: RuntimeRoot, _ arguments: [String]) throws -> Int32 {
        let options: Options
        do {
            options = try Options(arguments, known, allowsHelp: true, anywhere: optionsAnywhere)
        } catch let error as UsageError {
            throw UsageError("Incorrect Usage: \(error)", help: help)
        }
        if options.has("help") { return Main.say(help) }
        guard words.contains(options.rest.count) else { throw UsageError(wrongCount, help: "Incorrect Usage.\n\n\(help)") }
        return try run(root, options)
    }

    private var wrongCount: String {
        if words.lowerBound == words.upperBound { return "runc: \"\(name)\" requires exactly \(words.lowerBound) argument(s)" }
        return words.upperBound == Self.atMost
            ? "runc: \"\(name)\" requires a minimum of \(words.lowerBound) argument(s)"
            : "runc: \"\(name)\" requires between \(words.lowerBound) and \(words.upperBound) argument(s)"
    }

    var help: String {
        var help = "NAME:\n   skiff-runtime \(name) - \(text)\n\nUSAGE:\n   skiff-runtime \(name) [command options] \(usage)\n"
        if !options.isEmpty { help += "\nOPTIONS:\n" + Self.table(options) }
        return help
    }

    static func table(_ options: [Option]) -> String {
        let width = (options.map(\.line.count).max() ?? 0) + 2
        return options.map { $0.line + String(repeating: " ", count: width - $0.line.count) + $0.text + "\n" }.joined()
    }
}
