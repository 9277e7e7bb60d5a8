import BuildContext

/// Splits an instruction's line in the form its keyword demands.
struct ArgumentForms {
    var escape: Unicode.Scalar

    func instruction(_ line: String, line number: Int) throws(BuildError) -> Instruction {
        let text = line.trimmed()
        let (keyword, rest) = text.firstWord()
        let (flags, arguments) = Words.flags(of: rest)
        var result = Instruction(
            keyword: keyword.lowercased(), flags: flags, text: text, firstLine: number, lastLine: number)
        do {
            try fill(&result, arguments)
        } catch .invalid(let message) {
            throw .parse(line: number, message: message)
        }
        return result
    }

    private func fill(_ result: inout Instruction, _ rest: String) throws(BuildError) {
        if rest.isEmpty { return }
        switch result.keyword {
        case "run", "cmd", "entrypoint", "shell":
            try setJSONOr([rest], rest, &result)
        case "add", "copy", "volume":
            try setJSONOr(rest.wordsBetweenBlanks(), rest, &result)
        case "healthcheck":
            let (kind, command) = rest.firstWord()
            if !command.isEmpty { try setJSONOr([command], command, &result) }
            result.arguments.insert(.word(kind), at: 0)
        case "env", "label":
            set(try pairs(rest, of: result.keyword.uppercased()), &result)
        case "arg":
            set(Words.split(rest, escape: escape), &result)
        case "onbuild":
            result.arguments = [.instruction(try instruction(rest, line: result.firstLine))]
        case "expose", "from":
            set(rest.wordsBetweenBlanks(), &result)
        default:
            set([rest], &result)
        }
    }

    private func set(_ words: [String], _ result: inout Instruction) {
        result.arguments = words.map { .word($0) }
    }

    private func setJSONOr(_ words: [String], _ rest: String, _ result: inout Instruction) throws(BuildError) {
        let strings = try JSONStrings.parse(rest)
        result.isJSON = strings != nil
        set(strings ?? words, &result)
    }

    /// `name=value …` or the old `name value`, as triples of name, value and "=" or "".
    private func pairs(_ rest: String, of keyword: String) throws(BuildError) -> [String] {
        let words = Words.split(rest, escape: escape)
        guard let first = words.first, first.splitOnce("=") != nil else {
            let (name, value) = rest.firstWord()
            if value.isEmpty { throw .invalid("\(keyword) must have two arguments") }
            return [name, value, ""]
        }
        var triples: [String] = []
        for word in words {
            guard let (name, value) = word.splitOnce("=") else {
                throw .invalid(
                    "Syntax error - can't find = in \(GoQuote.quoted(word)). Must be of the form: name=value")
            }
            triples += [name, value, "="]
        }
        return triples
    }
}
