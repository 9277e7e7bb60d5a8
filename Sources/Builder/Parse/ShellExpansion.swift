import BuildContext

/// Expands `$name`, `${name…}`, quotes and escapes in a word, as the builder does for most instructions.
struct ShellExpansion {
    enum Failure: Error, Equatable {
        case message(String)
    }

    struct Result: Equatable {
        /// The word as a whole.
        var text = ""
        /// The same, split at white space that did not stand in quotes.
        var words: [String] = []
        var used: Set<String> = []
        var unset: Set<String> = []
    }

    var environment: [String: String]
    var escape: Unicode.Scalar = "\\"

    /// The text of a here-document: quotes mean nothing in it, and an escape character only in front of `$` and itself.
    func expandBody(_ text: String) throws(Failure) -> String {
        var scanner = ShellScanner(rest: text.unicodeScalars[...], environment: environment, escape: escape)
        return try scanner.body()
    }

    func expand(_ word: String) throws(Failure) -> Result {
        var scanner = ShellScanner(rest: word.unicodeScalars[...], environment: environment, escape: escape)
        do {
            let (text, words) = try scanner.scan(until: nil, keepsEscapes: false)
            return Result(text: text, words: words, used: scanner.used, unset: scanner.unset)
        } catch .message(let message) {
            throw .message("failed to process \(GoQuote.quoted(word)): \(message)")
        }
    }
}

/// The words found so far; quoted text never ends one.
private struct WordList {
    var words: [String] = []
    var word = String.UnicodeScalarView()

    mutating func add(_ scalar: Unicode.Scalar) {
        if !scalar.isBlank { return word.append(scalar) }
        if !word.isEmpty { words.append(String(word)) }
        word = String.UnicodeScalarView()
    }

    mutating func add(_ text: String) {
        for scalar in text.unicodeScalars { add(scalar) }
    }

    mutating func addQuoted(_ text: String) {
        word.append(contentsOf: text.unicodeScalars)
    }

    func finished() -> [String] {
        word.isEmpty ? words : words + [String(word)]
    }
}

private struct ShellScanner {
    typealias Failure = ShellExpansion.Failure

    var rest: Substring.UnicodeScalarView
    let environment: [String: String]
    let escape: Unicode.Scalar
    var used: Set<String> = []
    var unset: Set<String> = []
    /// Open `${`; bounded, since each one is a call deeper.
    private var depth = 0

    init(rest: Substring.UnicodeScalarView, environment: [String: String], escape: Unicode.Scalar) {
        self.rest = rest
        self.environment = environment
        self.escape = escape
    }

    /// Reads up to the stopping character (taken, not returned) or to the end.
    /// - Parameter keepsEscapes: leaves the escape character in, for patterns.
    mutating func scan(until stop: Unicode.Scalar?, keepsEscapes: Bool) throws(Failure) -> (String, [String]) {
        var text = ""
        var list = WordList()
        while let scalar = rest.first {
            if scalar == stop {
                rest.removeFirst()
                return (text, list.finished())
            }
            switch scalar {
            case "'", "\"":
                let quoted = scalar == "'" ? try singleQuoted() : try doubleQuoted()
                text += quoted
                list.addQuoted(quoted)
            case "$":
                let value = try dollar()
                text += value
                list.add(value)
            case escape:
                rest.removeFirst()
                if keepsEscapes {
                    text.unicodeScalars.append(scalar)
                    list.addQuoted(String(scalar))
                }
                // At the end of the word it stands for nothing.
                guard let next = rest.popFirst() else { continue }
                text.unicodeScalars.append(next)
                list.addQuoted(String(next))
            default:
                rest.removeFirst()
                text.unicodeScalars.append(scalar)
                list.add(scalar)
            }
        }
        if let stop { throw .message("unexpected end of statement while looking for matching \(stop)") }
        return (text, list.finished())
    }

    mutating func body() throws(Failure) -> String {
        try quoted(until: nil)
    }

    private mutating func singleQuoted() throws(Failure) -> String {
        rest.removeFirst()
        let text = rest.prefix { $0 != "'" }
        rest = rest.dropFirst(text.count)
        guard rest.popFirst() != nil else {
            throw .message("unexpected end of statement while looking for matching single-quote")
        }
        return String(text)
    }

    private mutating func doubleQuoted() throws(Failure) -> String {
        rest.removeFirst()
        return try quoted(until: "\"")
    }

    /// Text in which only variables and their escapes mean something, up to a closing character or the end.
    private mutating func quoted(until close: Unicode.Scalar?) throws(Failure) -> String {
        var text = ""
        while let scalar = rest.first {
            switch scalar {
            case close:
                rest.removeFirst()
                return text
            case "$":
                text += try dollar()
            case escape:
                rest.removeFirst()
                guard let next = rest.popFirst() else { continue }
                if next != close && next != "$" && next != escape { text.unicodeScalars.append(scalar) }
                text.unicodeScalars.append(next)
            default:
                rest.removeFirst()
                text.unicodeScalars.append(scalar)
            }
        }
        if close == nil { return text }
        throw .message("unexpected end of statement while looking for matching double-quote")
    }

    // MARK: Variables

    private mutating func dollar() throws(Failure) -> String {
        rest.removeFirst()
        guard rest.first == "{" else {
            let name = self.name()
            return name.isEmpty ? "$" : value(of: name) ?? ""
        }
        rest.removeFirst()
        depth += 1
        defer { depth -= 1 }
        guard depth < 100 else { throw .message("too many nested substitutions") }
        switch rest.first {
        case nil: throw .message("syntax error: missing '}'")
        case "{"?, "}"?, ":"?: throw .message("syntax error: bad substitution")
        default: return try substitution(name())
        }
    }

    /// A name, a number or one of the shell's special parameters; empty if there is none.
    private mutating func name() -> String {
        let isDigit = { (scalar: Unicode.Scalar) in ("0"..."9").contains(scalar) }
        guard let first = rest.first else { return "" }
        if "@*#?-$!".unicodeScalars.contains(first) {
            rest.removeFirst()
            return String(first)
        }
        let name =
            isDigit(first)
            ? rest.prefix(while: isDigit)
            : rest.prefix { $0 == "_" || isDigit($0) || $0.properties.isAlphabetic }
        rest = rest.dropFirst(name.count)
        return String(name)
    }

    private mutating func value(of name: String) -> String? {
        let value = environment[name]
        if value == nil { unset.insert(name) } else { used.insert(name) }
        return value
    }

    /// What stands behind the name in `${name…}`.
    private mutating func substitution(_ name: String) throws(Failure) -> String {
        guard var modifier = rest.popFirst() else { throw .message("syntax error: missing '}'") }
        if modifier == "}" { return value(of: name) ?? "" }
        if modifier == "/" { return try replacement(name) }
        let emptyIsUnset = modifier == ":"
        if emptyIsUnset {
            guard let next = rest.popFirst() else { throw .message("syntax error: missing '}'") }
            modifier = next
        }
        let isPattern = modifier == "#" || modifier == "%"
        guard "+-?#%".unicodeScalars.contains(modifier), !(emptyIsUnset && isPattern) else {
            throw .message("unsupported modifier (\(emptyIsUnset ? ":" : "")\(modifier)) in substitution")
        }
        let word = try operand(until: "}", keepsEscapes: isPattern)
        let value = self.value(of: name)
        let missing = value == nil || (emptyIsUnset && value == "")
        switch modifier {
        case "-": return missing ? word : value ?? ""
        case "+": return missing ? "" : word
        case "?":
            if !missing { return value ?? "" }
            let reason = value == nil ? "is not allowed to be unset" : "is not allowed to be empty"
            throw .message("\(name): \(word.isEmpty ? reason : word)")
        default:
            return trimmed(value ?? "", by: word, modifier)
        }
    }

    private mutating func operand(until stop: Unicode.Scalar, keepsEscapes: Bool) throws(Failure) -> String {
        do {
            return try scan(until: stop, keepsEscapes: keepsEscapes).0
        } catch .message(let message) {
            if rest.isEmpty && message.utf8.last != UInt8(ascii: "e") { throw .message("syntax error: missing '\(stop)'") }
            throw .message(message)
        }
    }

    private func trimmed(_ value: String, by word: String, _ modifier: Unicode.Scalar) -> String {
        let isLongest = word.unicodeScalars.first == modifier
        let glob = ShellGlob(String(word.unicodeScalars.dropFirst(isLongest ? 1 : 0)), escape: escape)
        let scalars = Array(value.unicodeScalars)
        if modifier == "#" {
            guard let length = glob.prefixLength(of: scalars[...], longest: isLongest) else { return value }
            return String(scalars[length...])
        }
        let starts = isLongest ? Array(0...scalars.count) : Array((0...scalars.count).reversed())
        guard let start = starts.first(where: { glob.matches(scalars[$0...]) }) else { return value }
        return String(scalars[..<start])
    }

    /// `${name/pattern/text}` and `${name//pattern/text}`.
    private mutating func replacement(_ name: String) throws(Failure) -> String {
        let all = rest.first == "/"
        if all { rest.removeFirst() }
        let pattern = try operand(until: "/", keepsEscapes: true)
        let text = try operand(until: "}", keepsEscapes: true)
        guard let value = value(of: name) else { return "" }
        return ShellGlob(pattern, escape: escape).replace(in: value, with: text, all: all)
    }
}

extension String {
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}
