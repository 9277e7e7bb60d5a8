import BuildContext
import Linux
import OCI

/// Steps that change the configuration only: what they do to it and what history says of them.
struct ConfigStep {
    /// In Docker's words, without the shell in front: `CMD ["a" "b"]`.
    var comment: String
    var state: ImageState

    /// - Parameter expand: variables to values, with what is known before the step.
    /// - Returns: nil for a step that does something else as well.
    init?(_ kind: Step.Kind, on state: ImageState, text: String, expand: Expander) throws(BuildError) {
        self.state = state
        comment = ""
        switch kind {
        case .cmd(let form): setCommand(form)
        case .entrypoint(let form): setEntrypoint(form)
        case .env(let pairs): try setEnvironment(pairs, expand)
        case .label(let pairs): try setLabels(pairs, expand)
        case .expose(let words): try expose(words, expand)
        case .user(let word): setUser(try expand.word(word))
        case .maintainer(let name): setAuthor(name)
        case .volume(let words): try addVolumes(words, expand)
        case .shell(let words): setShell(words)
        case .stopSignal(let word): try setStopSignal(try expand.word(word))
        case .healthcheck(let command): setHealthcheck(command, text)
        case .onBuild(let trigger): addTrigger(trigger)
        case .run, .copy, .workdir, .arg: return nil
        }
    }

    private mutating func setCommand(_ form: CommandForm) {
        let arguments = form.arguments(shell: state.shell)
        state.container.cmd = arguments
        state.hasOwnCommand = true
        comment = "CMD \(GoQuote.quoted(arguments))"
    }

    private mutating func setEntrypoint(_ form: CommandForm) {
        let arguments = form.arguments(shell: state.shell)
        state.container.entrypoint = arguments
        if !state.hasOwnCommand { state.container.cmd = nil }
        comment = "ENTRYPOINT \(GoQuote.quoted(arguments))"
    }

    private mutating func setEnvironment(_ pairs: [NameAndValue], _ expand: Expander) throws(BuildError) {
        comment = "ENV"
        for pair in pairs {
            let (name, value) = (try expand.word(pair.name), try expand.word(pair.value))
            if name.isEmpty { throw .invalid("ENV names can not be blank") }
            state.setEnvironment(name, value)
            comment += " \(name)=\(value)"
        }
    }

    private mutating func setLabels(_ pairs: [NameAndValue], _ expand: Expander) throws(BuildError) {
        comment = "LABEL"
        for pair in pairs {
            let (name, value) = (try expand.word(pair.name), try expand.word(pair.value))
            if name.isEmpty { throw .invalid("LABEL names can not be blank") }
            state.container.labels = (state.container.labels ?? [:]).merging([name: value]) { $1 }
            comment += " \(name)=\(value)"
        }
    }

    private mutating func expose(_ words: [String], _ expand: Expander) throws(BuildError) {
        var ports: [String] = []
        for word in words {
            for part in try expand.words(word) { ports += try ExposedPorts.parse(part) }
        }
        state.container.exposedPorts = (state.container.exposedPorts ?? []).union(ports)
        comment = "EXPOSE \(ports.joined(separator: " "))"
    }

    private mutating func setUser(_ user: String) {
        state.container.user = user
        comment = "USER \(user)"
    }

    private mutating func setAuthor(_ name: String) {
        state.config.author = name
        comment = "MAINTAINER \(name)"
    }

    private mutating func addVolumes(_ words: [String], _ expand: Expander) throws(BuildError) {
        var paths: [String] = []
        for word in words { paths.append(try expand.word(word)) }
        if paths.isEmpty || paths.contains("") { throw .invalid("VOLUME specified can not be an empty string") }
        state.container.volumes = (state.container.volumes ?? []).union(paths)
        comment = "VOLUME [\(paths.joined(separator: " "))]"
    }

    private mutating func setShell(_ words: [String]) {
        state.container.shell = words
        comment = "SHELL [\(words.joined(separator: " "))]"
    }

    private mutating func setStopSignal(_ text: String) throws(BuildError) {
        guard Signal(text) != nil else { throw .invalid("Invalid signal: \(text)") }
        state.container.stopSignal = text
        comment = "STOPSIGNAL \(text)"
    }

    private mutating func setHealthcheck(_ command: HealthcheckCommand, _ text: String) {
        comment = text
        switch command {
        case .none: state.container.healthcheck = ImageConfig.Healthcheck(test: ["NONE"])
        case .command(let form, var times):
            switch form {
            case .shell(let line): times.test = ["CMD-SHELL", line]
            case .exec(let words): times.test = ["CMD"] + words
            }
            state.container.healthcheck = times
        }
    }

    private mutating func addTrigger(_ trigger: String) {
        state.container.onBuild = (state.container.onBuild ?? []) + [trigger]
        comment = "ONBUILD \(trigger)"
    }
}

/// Expands the variables of one instruction.
struct Expander {
    var shell: ShellExpansion

    /// - Parameter arguments: `ARG`s; the environment of the image counts more.
    init(arguments: [String: String], environment: [String: String], escape: Unicode.Scalar) {
        shell = ShellExpansion(environment: arguments.merging(environment) { $1 }, escape: escape)
    }

    func word(_ text: String) throws(BuildError) -> String {
        try expanded(text).text
    }

    func words(_ text: String) throws(BuildError) -> [String] {
        try expanded(text).words
    }

    /// A here-document's content.
    func body(_ text: String) throws(BuildError) -> String {
        try rethrowing { () throws(ShellExpansion.Failure) in try shell.expandBody(text) }
    }

    private func expanded(_ text: String) throws(BuildError) -> ShellExpansion.Result {
        try rethrowing { () throws(ShellExpansion.Failure) in try shell.expand(text) }
    }

    private func rethrowing<T>(_ body: () throws(ShellExpansion.Failure) -> T) throws(BuildError) -> T {
        do {
            return try body()
        } catch {
            switch error {
            case .message(let message): throw .invalid(message)
            }
        }
    }
}
