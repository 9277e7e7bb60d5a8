import BuildContext

/// Reads a Dockerfile: directives, joined lines, comments, here-documents.
struct DockerfileParser {
    static let maxBytes = 4 << 20
    static let maxLineBytes = 65_535

    private var lines: [String]
    /// The number of lines taken so far, so also the number of the line taken last.
    private var position = 0
    private var file = Dockerfile()

    /// Reads a whole file.
    static func parse(_ bytes: [UInt8]) throws(BuildError) -> Dockerfile {
        guard bytes.count <= maxBytes else { throw .invalid("dockerfile is larger than \(maxBytes) bytes") }
        var parser = DockerfileParser(lines: try lines(of: bytes))
        try parser.readDirectives()
        while let instruction = try parser.nextInstruction() {
            parser.file.instructions.append(instruction)
        }
        if parser.file.instructions.isEmpty { throw .invalid("file with no instructions") }
        return parser.file
    }

    private init(lines: [String]) {
        self.lines = lines
    }

    private static func lines(of bytes: [UInt8]) throws(BuildError) -> [String] {
        var rest = bytes[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        var lines: [String] = []
        for line in rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard line.count <= maxLineBytes else {
                throw .parse(line: lines.count + 1, message: "line greater than maximum allowed size of \(maxLineBytes)")
            }
            lines.append(String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self))
        }
        return lines
    }

    // MARK: Directives

    /// `# name=value` lines at the very top; the first other line ends them.
    private mutating func readDirectives() throws(BuildError) {
        var seen: Set<String> = []
        while position < lines.count, let (name, value) = Self.directive(lines[position]) {
            guard ["escape", "syntax", "check"].contains(name) else { return }
            position += 1
            guard seen.insert(name).inserted else {
                throw .parse(line: position, message: "only one \(name) parser directive can be used")
            }
            switch name {
            case "escape":
                guard value == "\\" || value == "`", let scalar = value.unicodeScalars.first else {
                    throw .parse(line: position, message: "invalid escape token '\(value)' does not match ` or \\")
                }
                file.escape = scalar
            case "syntax": file.syntax = value
            default: file.check = value
            }
        }
    }

    private static func directive(_ line: String) -> (name: String, value: String)? {
        let line = line.trimmed()
        guard line.utf8.first == UInt8(ascii: "#"), let (left, right) = line.splitOnce("=") else { return nil }
        let name = String(left.unicodeScalars.dropFirst()).trimmed()
        let value = right.trimmed()
        let isName = name.utf8.allSatisfy {
            UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
        }
        guard isName, let first = name.utf8.first, first > UInt8(ascii: "9"), !value.isEmpty else { return nil }
        return (name.lowercased(), value)
    }

    // MARK: Instructions

    private mutating func nextInstruction() throws(BuildError) -> Instruction? {
        var comment: String?
        while position < lines.count {
            let line = lines[position].trimmedLeft()
            position += 1
            if Self.isComment(line) {
                comment = String(line.unicodeScalars.dropFirst()).trimmed()
                continue
            }
            defer { comment = nil }
            let first = position
            let (joined, heredocLine) = join(line)
            if joined.isEmpty && heredocLine { continue }
            var instruction = try ArgumentForms(escape: file.escape).instruction(joined, line: first)
            try readHeredocs(&instruction)
            instruction.lastLine = position
            instruction.comment = comment
            return instruction
        }
        return nil
    }

    /// Adds the following lines as long as the last one ends in the escape character.
    /// - Returns: the line, and whether it ended by itself (not at the end of the file).
    private mutating func join(_ start: String) -> (line: String, ended: Bool) {
        var (line, continues) = withoutContinuation(start)
        while continues, position < lines.count {
            let next = lines[position]
            position += 1
            if Self.isComment(next.trimmedLeft()) { continue }
            if next.trimmed().isEmpty {
                // The end of the file after a last line end is not an empty line.
                if position < lines.count { warnEmptyContinuation() }
                continue
            }
            let (text, more) = withoutContinuation(next)
            line += text
            continues = more
        }
        return (line, !continues || line.isEmpty)
    }

    private static let mostWarnings = 1000

    private mutating func warnEmptyContinuation() {
        // Lines are read once, in order.
        guard file.emptyContinuations.count < Self.mostWarnings, file.emptyContinuations.last != position else { return }
        file.emptyContinuations.append(position)
        file.warnings.append("[WARNING]: Empty continuation line found in line \(position)")
    }

    /// A line without the escape character at its end; a doubled one stays and ends the instruction.
    private func withoutContinuation(_ line: String) -> (String, Bool) {
        var scalars = Array(line.unicodeScalars)
        while let last = scalars.last, last == " " || last == "\t" { scalars.removeLast() }
        guard scalars.last == file.escape else { return (line, false) }
        scalars.removeLast()
        if scalars.last == file.escape { return (line, false) }
        return (String(scalars), true)
    }

    private static func isComment(_ trimmed: String) -> Bool {
        trimmed.utf8.first == UInt8(ascii: "#")
    }

    // MARK: Here-documents

    private mutating func readHeredocs(_ instruction: inout Instruction) throws(BuildError) {
        var target = instruction
        if let inner = instruction.inner { target = inner }
        guard ["run", "copy", "add"].contains(target.keyword), !target.isJSON else { return }
        var found = Heredoc.all(in: target.text, escape: file.escape)
        if found.isEmpty { return }
        for index in found.indices {
            try fill(&found[index], startedIn: instruction.firstLine)
        }
        if instruction.inner != nil {
            target.heredocs = found
            instruction.arguments = [.instruction(target)]
        } else {
            instruction.heredocs = found
        }
    }

    private mutating func fill(_ heredoc: inout Heredoc, startedIn line: Int) throws(BuildError) {
        while position < lines.count {
            var text = lines[position]
            position += 1
            if heredoc.stripsTabs { text = String(text.unicodeScalars.drop { $0 == "\t" }) }
            if text == heredoc.name { return }
            heredoc.content += text + "\n"
        }
        throw .parse(line: line, message: "unterminated heredoc")
    }
}

extension Heredoc {
    /// The here-documents a command line opens, in order.
    static func all(in line: String, escape: Unicode.Scalar) -> [Heredoc] {
        guard line.utf8.contains(UInt8(ascii: "<")) else { return [] }
        return Words.split(line, escape: escape).compactMap(Heredoc.init(word:))
    }

    /// `<<NAME`, `<<-NAME`, `3<<"NAME"`; anything else is no here-document.
    init?(word: String) {
        let digits = word.unicodeScalars.prefix { ("0"..."9").contains($0) }
        var rest = word.unicodeScalars.dropFirst(digits.count)
        guard rest.starts(with: "<<".unicodeScalars) else { return nil }
        rest = rest.dropFirst(2)
        let stripsTabs = rest.first == "-"
        if stripsTabs { rest = rest.dropFirst() }
        let name = rest.filter { $0 != "'" && $0 != "\"" }
        guard !name.isEmpty, !rest.contains("<") else { return nil }
        self.init(
            name: String(String.UnicodeScalarView(name)), stripsTabs: stripsTabs, expands: name.count == rest.count,
            descriptor: String(digits))
    }
}
