/// A Dockerfile, read but not yet judged: its instructions in order.
struct Dockerfile: Sendable, Equatable {
    /// The character that joins lines and takes away the meaning of the next character.
    var escape: Unicode.Scalar = "\\"
    /// The image named by `# syntax=`, which this builder reads and otherwise ignores.
    var syntax: String?
    var instructions: [Instruction] = []
    var warnings: [String] = []
    /// Lines that are empty although the one before them goes on.
    var emptyContinuations: [Int] = []
    /// What `# check=` says.
    var check: String?
}

/// One instruction with its arguments split as its kind demands, nothing expanded yet.
struct Instruction: Sendable, Equatable {
    /// In lower case.
    var keyword: String
    /// `--name=value` words in front of the arguments.
    var flags: [String] = []
    var arguments: [Argument] = []
    /// Whether the arguments came as a JSON array.
    var isJSON = false
    var heredocs: [Heredoc] = []
    /// The whole instruction on one line, as it is shown in `Step 1/5 : …`.
    var text: String
    var firstLine: Int
    var lastLine: Int
    /// The comment line right above, without its sign.
    var comment: String? = nil

    /// The arguments without those of an `ONBUILD`.
    var words: [String] {
        arguments.compactMap { if case .word(let word) = $0 { word } else { nil } }
    }

    /// The instruction below an `ONBUILD`.
    var inner: Instruction? {
        if case .instruction(let inner)? = arguments.first { inner } else { nil }
    }

    indirect enum Argument: Sendable, Equatable {
        case word(String)
        case instruction(Instruction)
    }
}

/// A here-document: lines of the Dockerfile that are the input of an instruction.
struct Heredoc: Sendable, Equatable {
    var name: String
    /// `<<-`: tabs in front of each line are taken away.
    var stripsTabs: Bool
    /// Whether variables are expanded; not if a part of the name was quoted.
    var expands: Bool
    /// "3" in `3<<EOF`.
    var descriptor: String
    var content = ""
}
