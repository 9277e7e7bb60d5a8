import BuildContext

extension Instruction {
    /// The instruction as a tree: `(copy ["--from=a"] "x" "/")`.
    var dump: String {
        var parts = [keyword]
        if !flags.isEmpty { parts.append(GoQuote.quoted(flags)) }
        for argument in arguments {
            switch argument {
            case .word(let word): parts.append(GoQuote.quoted(word))
            case .instruction(let inner): parts.append(inner.dump)
            }
        }
        return "(" + parts.joined(separator: " ") + ")"
    }
}
