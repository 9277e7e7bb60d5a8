/// One command: how it is called, what it takes, and what it does.
struct Command: Sendable {
    let name: String
    var aliases: [String] = []
    /// What follows the name in the usage line: `[OPTIONS] CONTAINER`.
    let usage: String
    let summary: String
    var arguments: ArgumentCount
    var flags: [any FlagDefinition] = []
    var stopsAtFirstArgument = false
    /// The command handles SIGINT and the like by itself.
    var takesSignals = false
    /// A flag with which the command takes signals itself.
    var signalFlag: Flag<Bool>?
    /// What a failure before or in the engine is reported as.
    var failureCode: Int32 = 1
    /// Whether the command speaks to an engine; the others work also when it is not clear which one is meant.
    var needsEngine = true
    /// Gives the exit code.
    let run: @Sendable (Invocation) async throws -> Int32
}

/// How many arguments a command takes.
enum ArgumentCount: Sendable {
    case none
    case exactly(Int)
    case atLeast(Int)
    case atMost(Int)
    case between(Int, Int)

    /// Docker's sentence, or nil when the number is right.
    func complaint(about count: Int) -> String? {
        switch self {
        case .none: count == 0 ? nil : "accepts no arguments"
        case .exactly(let wanted): count == wanted ? nil : "requires \(Self.arguments(wanted))"
        case .atLeast(let least): count >= least ? nil : "requires at least \(Self.arguments(least))"
        case .atMost(let most): count <= most ? nil : "requires at most \(Self.arguments(most))"
        case .between(let least, let most):
            (least...most).contains(count) ? nil : "requires at least \(least) and at most \(Self.arguments(most))"
        }
    }

    private static func arguments(_ count: Int) -> String {
        count == 1 ? "1 argument" : "\(count) arguments"
    }
}

/// Commands under a common word: `container`, `image`, `volume` and so on.
struct CommandGroup: Sendable {
    let name: String
    let summary: String
    let entries: [CommandEntry]
}

/// A command that is only made when it is wanted: the start of the program does not pay for hundreds of flags.
struct CommandEntry: Sendable {
    let names: [String]
    let make: @Sendable () -> Command

    init(_ names: String..., make: @escaping @Sendable () -> Command) {
        self.names = names
        self.make = make
    }
}

/// A command as it was called.
struct Invocation: Sendable {
    let program: Program
    let flags: FlagValues
    let arguments: [String]

    subscript<Value>(flag: Flag<Value>) -> Value { flags[flag] }

    /// The format that the flag gives, or else the one that the user has settled under a name in the configuration.
    func format(_ flag: Flag<String>, _ setting: String, isQuiet: Bool = false) -> String {
        self[flag].isEmpty && !isQuiet ? program.config.text(setting) ?? "" : self[flag]
    }

    /// The keys that leave a container running, in the same way.
    func detachKeys(_ flag: Flag<String>) -> String {
        self[flag].isEmpty ? program.config.text("detachKeys") ?? "" : self[flag]
    }
}

/// Ends a command with a message for the user and an exit code.
struct CommandFailure: Error {
    let message: String
    var code: Int32 = 1

    init(_ message: String, code: Int32 = 1) {
        self.message = message
        self.code = code
    }
}
