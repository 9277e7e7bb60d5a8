import BuildContext

// The rules for what stands inside a stage.
extension Lint {
    /// What is known at some line of a stage.
    private struct Known {
        var environment: [String: String]
        var arguments: [String: String]
        /// Whether the environment of the base image is part of it.
        var isComplete: Bool
        var hasDirectory = false
        var hasShell = false
        /// Lines of instructions of which the last one counts.
        var last: [String: Int] = [:]
    }

    mutating func checkStage(_ index: Int) {
        let stage = plan.stages[index]
        let base = plan.stage(named: stage.base, before: index)
        var known = Known(
            environment: environments[index] ?? [:], arguments: [:],
            isComplete: environments[index] != nil || stage.base == "scratch")
        // Where a stage begins as another one ends, that one was looked at.
        known.hasDirectory = base != nil || stage.base == "scratch"
        for step in stage.steps { check(step, &known) }
    }

    private mutating func check(_ step: Step, _ known: inout Known) {
        switch step.kind {
        case .cmd(let form): checkForm(form, "CMD", step, &known)
        case .entrypoint(let form): checkForm(form, "ENTRYPOINT", step, &known)
        case .healthcheck: once("HEALTHCHECK", step, &known)
        case .shell: known.hasShell = true
        case .env(let pairs):
            for pair in pairs { checkVariables([pair.name, pair.value], step, known) }
            for pair in pairs {
                known.environment[pair.name] = ""
                checkSecret(pair.name, "ENV", step.line)
            }
        case .label(let pairs): checkVariables(pairs.flatMap { [$0.name, $0.value] }, step, known)
        case .arg(let declarations):
            for declaration in declarations {
                checkVariables([declaration.name] + (declaration.value.map { [$0] } ?? []), step, known)
                known.arguments[declaration.name] = ""
                checkSecret(declaration.name, "ARG", step.line)
            }
        case .copy(let command): checkCopy(command, step, known)
        case .expose(let words): checkPorts(words, step, known)
        case .workdir(let path):
            checkVariables([path], step, known)
            if !path.hasPrefix("/"), !path.hasPrefix("$"), !path.hasPrefix("\"/"), !known.hasDirectory {
                let message = "Relative workdir \(GoQuote.quoted(path)) can have unexpected results if the base image changes"
                warn("WorkdirRelativePath", message, step.line)
            }
            known.hasDirectory = true
        case .user(let word), .stopSignal(let word): checkVariables([word], step, known)
        case .volume(let words): checkVariables(words, step, known)
        case .run, .maintainer, .onBuild: break
        }
    }

    private mutating func checkForm(_ form: CommandForm, _ name: String, _ step: Step, _ known: inout Known) {
        once(name, step, &known)
        guard case .shell = form, !known.hasShell else { return }
        warn(
            "JSONArgsRecommended", "JSON arguments recommended for \(name) to prevent unintended behavior related to OS signals",
            step.line)
    }

    /// The earlier one is told, since it is the one that does nothing.
    private mutating func once(_ name: String, _ step: Step, _ known: inout Known) {
        if let earlier = known.last[name] {
            warn(
                "MultipleInstructionsDisallowed",
                "Multiple \(name) instructions should not be used in the same stage because only the last one will be used", earlier)
        }
        known.last[name] = step.line
    }

    private mutating func checkVariables(_ words: [String], _ step: Step, _ known: Known) {
        guard known.isComplete else { return }
        let predefined = Dictionary(uniqueKeysWithValues: BuildArguments.predefined.map { ($0, "") })
        let values = known.arguments.merging(known.environment) { $1 }.merging(predefined) { left, _ in left }
        let shell = ShellExpansion(environment: values, escape: file.escape)
        for word in words {
            for name in ((try? shell.expand(word))?.unset ?? []).sorted() where name.first.map({ $0.isLetter || $0 == "_" }) == true {
                let hint = Suggestion.nearest(to: name, among: values.keys.sorted()).map { " (did you mean $\($0)?)" } ?? ""
                warn("UndefinedVar", "Usage of undefined variable '$\(name)'\(hint)", step.line)
            }
        }
    }

    private mutating func checkCopy(_ command: CopyCommand, _ step: Step, _ known: Known) {
        checkVariables(command.sources + [command.destination], step, known)
        guard command.from == nil, let ignored else { return }
        for source in command.sources where !source.contains("$") && !source.contains("://") {
            let path = CleanPath.relative(source)
            guard ignored.excludes(path) else { continue }
            let name = command.isAdd ? "Add" : "Copy"
            warn(
                "CopyIgnoredFile", "Attempting to \(name) file \(GoQuote.quoted(source)) that is excluded by .dockerignore", step.line)
        }
    }

    private mutating func checkPorts(_ words: [String], _ step: Step, _ known: Known) {
        checkVariables(words, step, known)
        for word in words where !word.contains("$") {
            if let (_, proto) = word.splitOnce("/"), proto != proto.lowercased() {
                warn("ExposeProtoCasing", "Defined protocol '\(word)' in EXPOSE instruction should be lowercase", step.line)
            }
            if word.contains(":") {
                warn(
                    "ExposeInvalidFormat",
                    "EXPOSE instruction should not define an IP address or host-port mapping, found '\(word)'", step.line)
            }
        }
    }
}
