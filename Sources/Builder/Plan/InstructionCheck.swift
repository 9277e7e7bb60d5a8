import BuildContext
import OCI

/// Turns an instruction into a step, or says what is wrong with it.
enum InstructionCheck {
    static func step(_ instruction: Instruction) throws(BuildError) -> Step {
        do {
            var flags = InstructionFlags(instruction)
            let kind = try kind(instruction, &flags)
            try flags.finish()
            return Step(kind: kind, text: instruction.text, line: instruction.firstLine, description: instruction.comment)
        } catch .invalid(let message) {
            throw .parse(line: instruction.firstLine, message: message)
        }
    }

    private static func kind(_ instruction: Instruction, _ flags: inout InstructionFlags) throws(BuildError) -> Step.Kind {
        let words = instruction.words
        let name = instruction.keyword.uppercased()
        switch name {
        case "RUN": return try run(instruction, &flags)
        case "COPY", "ADD": return .copy(try copy(instruction, &flags))
        case "CMD": return .cmd(form(instruction, words))
        case "ENTRYPOINT": return .entrypoint(form(instruction, words))
        case "ENV": return .env(try pairs(words, name))
        case "LABEL": return .label(try pairs(words, name))
        case "ARG": return .arg(try arguments(words))
        case "EXPOSE": return .expose(try atLeastOne(words, name))
        case "WORKDIR": return .workdir(try exactlyOne(words, name))
        case "USER": return .user(try exactlyOne(words, name))
        case "MAINTAINER": return .maintainer(try exactlyOne(words, name))
        case "STOPSIGNAL": return .stopSignal(try exactlyOne(words, name))
        case "VOLUME": return .volume(try volumes(words))
        case "SHELL":
            let words = try atLeastOne(words, name)
            guard instruction.isJSON else { throw .invalid("SHELL requires the arguments to be in JSON form") }
            return .shell(words)
        case "HEALTHCHECK": return .healthcheck(try healthcheck(instruction, &flags))
        case "ONBUILD": return try onBuild(instruction)
        default:
            let hint = Suggestion.nearest(to: name, among: names).map { " (did you mean \($0)?)" } ?? ""
            throw .invalid("unknown instruction: \(instruction.text.firstWord().word)\(hint)")
        }
    }

    private static let names = [
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN", "SHELL",
        "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    ]

    // MARK: Counting

    private static func exactlyOne(_ words: [String], _ name: String) throws(BuildError) -> String {
        guard words.count == 1 else { throw .invalid("\(name) requires exactly one argument") }
        return words[0]
    }

    private static func atLeastOne(_ words: [String], _ name: String) throws(BuildError) -> [String] {
        if words.isEmpty { throw .invalid("\(name) requires at least one argument") }
        return words
    }

    private static func form(_ instruction: Instruction, _ words: [String]) -> CommandForm {
        instruction.isJSON || words.isEmpty ? .exec(words) : .shell(words.joined(separator: " "))
    }

    private static func pairs(_ words: [String], _ name: String) throws(BuildError) -> [NameAndValue] {
        let words = try atLeastOne(words, name)
        var pairs: [NameAndValue] = []
        for index in stride(from: 0, to: words.count - 2, by: 3) {
            if words[index].isEmpty { throw .invalid("\(name) names can not be blank") }
            pairs.append(NameAndValue(name: words[index], value: words[index + 1]))
        }
        return pairs
    }

    static func arguments(_ words: [String]) throws(BuildError) -> [ArgumentDeclaration] {
        try atLeastOne(words, "ARG").map { word throws(BuildError) in
            guard let (name, value) = word.splitOnce("=") else { return ArgumentDeclaration(name: word, value: nil) }
            if name.isEmpty { throw .invalid("ARG names can not be blank") }
            return ArgumentDeclaration(name: name, value: value)
        }
    }

    private static func volumes(_ words: [String]) throws(BuildError) -> [String] {
        let words = try atLeastOne(words, "VOLUME").map { $0.trimmed() }
        if words.contains("") { throw .invalid("VOLUME specified can not be an empty string") }
        return words
    }

    // MARK: RUN

    private static func run(_ instruction: Instruction, _ flags: inout InstructionFlags) throws(BuildError) -> Step.Kind {
        try flags.refuse("device", of: "RUN")
        let mounts = try flags.all("mount")
        for mount in mounts { try RunMount.check(mount) }
        let network = try flags.one("network")
        if let network, !["default", "none", "host"].contains(network) {
            throw .invalid("unsupported network mode \(GoQuote.quoted(network))")
        }
        if let security = try flags.one("security"), security != "sandbox" {
            throw .invalid("RUN --security=\(security) is not available yet")
        }
        let words = try atLeastOne(instruction.words, "RUN")
        if instruction.isJSON { return .run(RunCommand(form: .exec(words), network: network, mounts: mounts)) }
        let command = words.joined(separator: " ")
        if let script = script(command, instruction.heredocs) {
            guard script.hasPrefix("#!") else {
                return .run(RunCommand(form: .shell(script), network: network, mounts: mounts))
            }
            let path = scriptDirectory + instruction.heredocs[0].name
            return .run(RunCommand(form: .exec([path]), network: network, mounts: mounts, script: script))
        }
        let text = instruction.heredocs.reduce(command) { $0 + "\n" + $1.content + $1.name }
        return .run(RunCommand(form: .shell(text), network: network, mounts: mounts))
    }

    /// In the container's own `/dev`, which is memory and in no image.
    private static let scriptDirectory = "/dev/pipes/"

    /// A here-document that is all there is. Others the shell reads itself, as in `<<EOF bash`.
    private static func script(_ command: String, _ heredocs: [Heredoc]) -> String? {
        let isAlone = Words.split(command, escape: "\\").count == 1 && Heredoc(word: command) != nil
        return heredocs.count == 1 && isAlone ? heredocs[0].content : nil
    }

    // MARK: COPY and ADD

    private static func copy(_ instruction: Instruction, _ flags: inout InstructionFlags) throws(BuildError) -> CopyCommand {
        let name = instruction.keyword.uppercased()
        let words = try atLeastOne(instruction.words, name)
        guard let destination = words.last, words.count > 1 else {
            throw .invalid(
                "\(name) requires at least two arguments, but only one was provided. Destination could not be determined")
        }
        var command = CopyCommand(
            keyword: name, sources: Array(words.dropLast()), destination: destination,
            from: name == "COPY" ? try flags.one("from") : nil, chown: try flags.one("chown"),
            chmod: try flags.one("chmod"), heredocs: instruction.heredocs, excludes: try flags.all("exclude"),
            unpacks: name == "ADD" ? try flags.bool("unpack") : nil)
        command.isLinked = try flags.bool("link") ?? false
        if name == "COPY" {
            command.keepsParents = try flags.bool("parents") ?? false
        } else {
            command.checksum = try flags.one("checksum")
            command.keepsGitDirectory = try flags.bool("keep-git-dir")
        }
        if !instruction.isJSON, !command.heredocs.isEmpty {
            command.sources.removeAll { Heredoc(word: $0) != nil }
        }
        return command
    }

    // MARK: HEALTHCHECK and ONBUILD

    private static func healthcheck(_ instruction: Instruction, _ flags: inout InstructionFlags) throws(BuildError)
        -> HealthcheckCommand
    {
        let words = try atLeastOne(instruction.words, "HEALTHCHECK")
        switch words[0].uppercased() {
        case "NONE":
            if words.count > 1 { throw .invalid("HEALTHCHECK NONE takes no arguments") }
            return .none
        case "CMD":
            let command = Array(words.dropFirst())
            if command.isEmpty { throw .invalid("Missing command after HEALTHCHECK CMD") }
            var times = ImageConfig.Healthcheck()
            times.interval = try interval("interval", &flags)
            times.timeout = try interval("timeout", &flags)
            times.startPeriod = try interval("start-period", &flags)
            times.startInterval = try interval("start-interval", &flags)
            times.retries = try retries(&flags)
            return .command(form(instruction, command), times: times)
        default:
            throw .invalid("Unknown type \(GoQuote.quoted(words[0].uppercased())) in HEALTHCHECK (try CMD)")
        }
    }

    private static func interval(_ name: String, _ flags: inout InstructionFlags) throws(BuildError) -> Int64? {
        guard let text = try flags.one(name), !text.isEmpty else { return nil }
        guard let nanoseconds = GoDuration.nanoseconds(text) else {
            throw .invalid("time: invalid duration \(GoQuote.quoted(text))")
        }
        if nanoseconds == 0 { return nil }
        guard nanoseconds >= 1_000_000 else {
            throw .invalid("Interval \(GoQuote.quoted(name)) cannot be less than 1ms")
        }
        return nanoseconds
    }

    private static func retries(_ flags: inout InstructionFlags) throws(BuildError) -> Int? {
        guard let text = try flags.one("retries"), !text.isEmpty else { return nil }
        guard let count = Int32(text) else { throw .invalid("--retries: invalid number \(GoQuote.quoted(text))") }
        guard count >= 0 else { throw .invalid("--retries cannot be negative (\(count))") }
        return count == 0 ? nil : Int(count)
    }

    private static func onBuild(_ instruction: Instruction) throws(BuildError) -> Step.Kind {
        guard let inner = instruction.inner else { throw .invalid("ONBUILD requires at least one argument") }
        let trigger = inner.keyword.uppercased()
        switch trigger {
        case "ONBUILD": throw .invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
        case "FROM", "MAINTAINER": throw .invalid("\(trigger) isn't allowed as an ONBUILD trigger")
        default: break
        }
        _ = try step(inner)
        return .onBuild(inner.heredocs.reduce(inner.text) { $0 + "\n" + $1.content + $1.name })
    }
}
