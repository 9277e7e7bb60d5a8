import BuildContext
import OCI

/// Looks for what is probably not meant, by BuildKit's rules and with their words.
struct Lint {
    let file: Dockerfile
    let plan: BuildPlan
    let options: LintOptions
    /// Rules of the context's ignore file.
    var ignored: IgnorePatterns?
    /// The environment that a stage begins with, by its number; nil where the base image is not known.
    var environments: [Int: [String: String]] = [:]
    /// The platform of base images that are here, by stage.
    var platforms: [Int: String] = [:]
    /// Values of the client.
    var given: [String: String?] = [:]
    private(set) var warnings: [LintWarning] = []
    private var known: Set<LintWarning> = []
    private static let mostWarnings = 1000

    init(file: Dockerfile, plan: BuildPlan, options: LintOptions, ignored: IgnorePatterns? = nil, given: [String: String?] = [:]) {
        self.file = file
        self.plan = plan
        self.options = options
        self.ignored = ignored
        self.given = given
    }

    /// All warnings, in the order of the file.
    mutating func run() -> [LintWarning] {
        checkWords()
        checkStageNames()
        checkBases()
        for index in plan.stages.indices { checkStage(index) }
        return warnings.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    }

    mutating func warn(_ rule: String, _ message: String, _ line: Int) {
        guard warnings.count < Self.mostWarnings, options.includes(rule) else { return }
        let warning = LintWarning(rule: rule, message: message, line: line)
        if known.insert(warning).inserted { warnings.append(warning) }
    }

    // MARK: Words

    private mutating func checkWords() {
        for line in file.emptyContinuations { warn("NoEmptyContinuation", "Empty continuation line", line) }
        let words = file.instructions.map { (word: $0.text.firstWord().word, line: $0.firstLine) }
        let upper = words.count { $0.word == $0.word.uppercased() }
        let lower = words.count { $0.word == $0.word.lowercased() }
        for (word, line) in words {
            let wanted = lower > upper ? word.lowercased() : word.uppercased()
            if word == wanted { continue }
            let majority = lower > upper ? "lowercase" : "uppercase"
            warn("ConsistentInstructionCasing", "Command '\(word)' should match the case of the command majority (\(majority))", line)
        }
        for instruction in file.instructions {
            checkDescription(instruction)
            let isEnv = instruction.keyword == "env"
            if isEnv || instruction.keyword == "label", instruction.words.count == 3, instruction.words[2].isEmpty {
                let name = instruction.keyword.uppercased()
                warn(
                    "LegacyKeyValueFormat", "\"\(name) key=value\" should be used instead of legacy \"\(name) key value\" format",
                    instruction.firstLine)
            }
            if instruction.keyword == "maintainer" {
                warn("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", instruction.firstLine)
            }
        }
    }

    /// Only a stage with a name and an argument have descriptions.
    private mutating func checkDescription(_ instruction: Instruction) {
        guard let comment = instruction.comment else { return }
        var names: [String] = []
        if instruction.keyword == "from", instruction.words.count == 3 { names = [instruction.words[2]] }
        if instruction.keyword == "arg" { names = instruction.words.map { $0.splitOnce("=")?.0 ?? $0 } }
        guard let first = names.first, !names.contains(comment.firstWord().word) else { return }
        let what = instruction.keyword == "from" ? "build stage" : "build argument"
        let name = names.count > 1 ? "<arg_key>" : first
        warn(
            "InvalidDefinitionDescription", "Comment for \(what) should follow the format: `# \(name) <description>`",
            instruction.firstLine)
    }

    // MARK: FROM

    private mutating func checkStageNames() {
        var seen: Set<String> = []
        for instruction in file.instructions where instruction.keyword == "from" && instruction.words.count == 3 {
            let (name, line) = (instruction.words[2], instruction.firstLine)
            if name != name.lowercased() { warn("StageNameCasing", "Stage name '\(name)' should be lowercase", line) }
            let (from, joint) = (instruction.text.firstWord().word, instruction.words[1])
            let isUpper = from == from.uppercased() && joint == joint.uppercased()
            if !isUpper, from != from.lowercased() || joint != joint.lowercased() {
                warn("FromAsCasing", "'\(joint)' and '\(from)' keywords' casing do not match", line)
            }
            if !seen.insert(name.lowercased()).inserted {
                warn("DuplicateStageName", "Duplicate stage name \(GoQuote.quoted(name)), stage names should be unique", line)
            }
            if ["context", "scratch"].contains(name.lowercased()) {
                warn("ReservedStageName", "Stage name should not use the same name as reserved stage \(GoQuote.quoted(name))", line)
            }
        }
    }

    private mutating func checkBases() {
        var defaults = BuildArguments(given: [:])
        var known = BuildArguments(given: given)
        let escape = file.escape
        for step in plan.globalArguments {
            for declaration in step.arguments {
                let expand = { (arguments: BuildArguments) in
                    Expander(arguments: arguments.forFrom, environment: [:], escape: escape)
                }
                // A value that cannot be expanded fails the build itself.
                let standard = declaration.value.flatMap { try? expand(defaults).word($0) }
                let value = declaration.value.flatMap { try? expand(known).word($0) }
                defaults.declareGlobal(declaration.name, standard)
                known.declareGlobal(declaration.name, value)
                checkSecret(declaration.name, "ARG", step.line)
            }
        }
        let declared = Set(plan.globalArguments.flatMap(\.arguments).map(\.name))
        for (index, stage) in plan.stages.enumerated() {
            checkPlatform(stage, index)
            let expansion = Expander(arguments: known.forFrom, environment: [:], escape: file.escape).shell
            var names = (try? expansion.expand(stage.base))?.unset ?? []
            if let platform = stage.platform { names.formUnion((try? expansion.expand(platform))?.unset ?? []) }
            for name in names.sorted() where !declared.contains(name) {
                let suggestion = Suggestion.nearest(to: name, among: Array(known.forFrom.keys).sorted())
                let hint = suggestion.map { " (did you mean \($0)?)" } ?? ""
                warn("UndefinedArgInFrom", "FROM argument '\(name)' is not declared\(hint)", stage.line)
            }
            guard stage.base.contains("$"), names.isSubset(of: declared) else { continue }
            let plain = (try? Expander(arguments: defaults.forFrom, environment: [:], escape: file.escape).word(stage.base)) ?? ""
            let isStage = plan.stage(named: plain, before: index) != nil || plain == "scratch"
            if !isStage, (try? Reference(plain)) == nil {
                warn(
                    "InvalidDefaultArgInFrom", "Default value for ARG \(stage.base) results in empty or invalid base image name",
                    stage.line)
            }
        }
    }

    private mutating func checkPlatform(_ stage: BuildPlan.Stage, _ index: Int) {
        guard let platform = stage.platform else {
            let host = "linux/" + Platform.host.architecture
            if let found = platforms[index], found != host {
                warn(
                    "InvalidBaseImagePlatform",
                    "Base image \(stage.base) was pulled with platform \(GoQuote.quoted(found)), expected \(GoQuote.quoted(host)) for current build",
                    stage.line)
            }
            return
        }
        if ["$TARGETPLATFORM", "${TARGETPLATFORM}"].contains(platform) {
            warn(
                "RedundantTargetPlatform",
                "Setting platform to predefined \(platform) in FROM is redundant as this is the default behavior", stage.line)
        } else if !platform.contains("$") {
            let parts = platform.split(separator: "/").map(String.init)
            if let name = stage.name, parts.contains(where: { name.contains($0) }) { return }
            warn(
                "FromPlatformFlagConstDisallowed", "FROM --platform flag should not use constant value \(GoQuote.quoted(platform))",
                stage.line)
        }
    }

    mutating func checkSecret(_ name: String, _ keyword: String, _ line: Int) {
        let words = name.lowercased().split(separator: "_").map(String.init)
        if words.contains("public") || !words.contains(where: Self.secretWords.contains) { return }
        warn(
            "SecretsUsedInArgOrEnv", "Do not use ARG or ENV instructions for sensitive data (\(keyword) \(GoQuote.quoted(name)))", line)
    }

    private static let secretWords: Set<String> = [
        "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
    ]
}

extension Step {
    /// The declarations of an `ARG`.
    var arguments: [ArgumentDeclaration] {
        if case .arg(let declarations) = kind { declarations } else { [] }
    }
}
