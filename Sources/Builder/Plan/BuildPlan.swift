import BuildContext

/// A Dockerfile's stages, and which of them a target needs.
struct BuildPlan: Sendable, Equatable {
    struct Stage: Sendable, Equatable {
        /// In lower case.
        var name: String?
        /// What stands behind `FROM`, not expanded.
        var base: String
        var platform: String?
        var text: String
        var line: Int
        var steps: [Step] = []
        /// What the comment right above says of it.
        var description = ""
    }

    /// `ARG`s in front of the first `FROM`.
    var globalArguments: [Step] = []
    var stages: [Stage] = []
    var warnings: [String] = []

    init(_ file: Dockerfile) throws(BuildError) {
        warnings = file.warnings
        for instruction in file.instructions {
            if instruction.keyword == "from" {
                stages.append(try Self.stage(instruction))
                continue
            }
            let step = try InstructionCheck.step(instruction)
            if !stages.isEmpty {
                stages[stages.count - 1].steps.append(step)
            } else if case .arg = step.kind {
                globalArguments.append(step)
            } else {
                throw .parse(line: step.line, message: "no build stage in current context")
            }
        }
        if stages.isEmpty { throw .invalid("dockerfile parse error: file with no build stage (FROM)") }
    }

    private static func stage(_ instruction: Instruction) throws(BuildError) -> Stage {
        let line = instruction.firstLine
        do throws(BuildError) {
            var flags = InstructionFlags(instruction)
            let platform = try flags.one("platform")
            try flags.finish()
            let words = instruction.words
            guard words.count == 1 || (words.count == 3 && words[1].lowercased() == "as") else {
                throw .invalid("FROM requires either one or three arguments")
            }
            var stage = Stage(base: words[0], platform: platform, text: instruction.text, line: line)
            if words.count == 3 { stage.name = try stageName(words[2]) }
            if words.count == 3, let (name, rest) = instruction.comment?.firstWord(), name == words[2] { stage.description = rest }
            return stage
        } catch .invalid(let message) {
            throw .parse(line: line, message: message)
        }
    }

    private static func stageName(_ text: String) throws(BuildError) -> String {
        let name = text.lowercased()
        let isLetter = { (byte: UInt8) in UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte }
        let isRest = { (byte: UInt8) in
            isLetter(byte) || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || "-_.".utf8.contains(byte)
        }
        guard let first = name.utf8.first, isLetter(first), name.utf8.allSatisfy(isRest) else {
            throw .invalid(
                "invalid name for build stage: \(GoQuote.quoted(text)), name can't start with a number or contain symbols")
        }
        return name
    }

    /// The stage a name or number means, seen from stage `limit` (only earlier ones count); the latest of that name.
    func stage(named text: String, before limit: Int) -> Int? {
        let name = text.lowercased()
        if let index = stages[..<limit].lastIndex(where: { $0.name == name }) { return index }
        guard let number = Int(text), stages[..<limit].indices.contains(number) else { return nil }
        return number
    }

    /// The stage to build.
    func target(_ name: String?) throws(BuildError) -> Int {
        guard let name, !name.isEmpty else { return stages.count - 1 }
        guard let index = stage(named: name, before: stages.count) else {
            throw .invalid("failed to reach build target \(name) in Dockerfile")
        }
        return index
    }

    /// The stages a target rests on and the target itself, in the order of the file.
    /// - Parameters:
    ///   - named: names that stand for something else than a stage, in lower case
    ///   - base: the expanded name behind a stage's `FROM`
    func needed(for target: Int, apartFrom named: Set<String> = [], base: (Stage) -> String) -> [Int] {
        var needed: Set<Int> = []
        var open = [target]
        while let index = open.popLast() {
            guard needed.insert(index).inserted else { continue }
            let names = [base(stages[index])] + stages[index].steps.flatMap(\.readsFrom)
            open += names.filter { !named.contains($0.lowercased()) }.compactMap { stage(named: $0, before: index) }
        }
        return needed.sorted()
    }
}

extension Step {
    /// The stages and images that `COPY --from` and `RUN --mount` name.
    var readsFrom: [String] {
        switch kind {
        case .copy(let command): command.from.map { [$0] } ?? []
        case .run(let command): command.mounts.compactMap(RunMount.from)
        default: []
        }
    }
}
