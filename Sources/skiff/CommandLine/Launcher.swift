import Blocking
import EngineClient
import FoundationEssentials
import Linux
import SystemPackage

/// Finds the command, reads its flags and runs it. Synchronous, since signals have to be blocked while there is one
/// thread.
public struct Launcher: Sendable {
    private let arguments: [String]
    private let environment: [String: String]

    /// The arguments begin with the name of the program.
    public init(arguments: [String], environment: [String: String]) {
        self.arguments = arguments
        self.environment = environment
    }

    /// `docker` for those who call us by that name.
    private var programName: String {
        FilePath(arguments.first ?? "").lastComponent?.string == "docker" ? "docker" : "skiff"
    }

    /// Runs the command to its end and gives the exit code.
    public func run() -> Int32 {
        ignoreBrokenPipes()
        do {
            let parser = FlagParser(flags: GlobalFlags.all, stopsAtFirstArgument: true)
            let global = try parser.parse(Array(arguments.dropFirst()))
            if global.values[GlobalFlags.version] { return show("Skiff version \(SkiffVersion.number)\n") }
            guard !global.asksForHelp, let name = global.arguments.first else { return show(Help.root(program: programName)) }
            return try run(name, Array(global.arguments.dropFirst()), global.values)
        } catch let error as UsageError {
            return complain(
                "\(error.message)\n\nUsage:  \(programName) [OPTIONS] COMMAND [ARG...]\n\nRun '\(programName) --help' for more information\n", 125)
        } catch {
            return complain("\(programName): \(error)\n", 1)
        }
    }

    private func run(_ name: String, _ rest: [String], _ global: FlagValues) throws -> Int32 {
        if name == "help" {
            return rest.isEmpty ? show(Help.root(program: programName)) : try run(rest[0], Array(rest.dropFirst()) + ["--help"], global)
        }
        if let group = CommandTree.groups.first(where: { $0.name == name }) { return run(group, rest, global) }
        guard let command = CommandTree.command(name, in: CommandTree.topLevel) else {
            return complain(
                "\(programName): unknown command: \(programName) \(name)\n\nRun '\(programName) --help' for more information\n", 1)
        }
        return run(command, "\(programName) \(name)", rest, global)
    }

    private func run(_ group: CommandGroup, _ rest: [String], _ global: FlagValues) -> Int32 {
        let path = "\(programName) \(group.name)"
        guard let name = rest.first, name != "--help", name != "-h" else { return show(Help.text(group, path: path)) }
        guard let command = CommandTree.command(name, in: group.entries) else {
            return complain(
                "\(programName): unknown command: \(path) \(name)\n\nUsage:  \(path)\n\nRun '\(path) --help' for more information\n", 1)
        }
        return run(command, "\(path) \(name)", Array(rest.dropFirst()), global)
    }

    private func run(_ command: Command, _ path: String, _ rest: [String], _ global: FlagValues) -> Int32 {
        let usage = Help.usageLine(command, path: path)
        let parsed: FlagParser.Parsed
        do {
            parsed = try FlagParser(flags: command.flags, stopsAtFirstArgument: command.stopsAtFirstArgument).parse(rest)
        } catch {
            let message = (error as? UsageError)?.message ?? "\(error)"
            return complain("\(message)\n\n\(usage)\n\nRun '\(path) --help' for more information\n", 125)
        }
        if parsed.asksForHelp {
            let spellings = CommandTree.spellings(of: command, program: programName)
            return show(Help.text(command, path: path, spellings: spellings))
        }
        if let complaint = command.arguments.complaint(about: parsed.arguments.count) {
            let see = complaint.contains("at least") && !complaint.contains("at most") ? "See" : "Run"
            return complain(
                "\(programName): '\(path)' \(complaint)\n\n\(usage)\n\n\(see) '\(path) --help' for more information\n", 1)
        }
        return execute(command, path, parsed, global)
    }

    private func execute(_ command: Command, _ path: String, _ parsed: FlagParser.Parsed, _ global: FlagValues) -> Int32 {
        do {
            let signals = command.takesSignals || command.signalFlag.map { parsed.values[$0] } == true ? try SignalQueue(ProxiedSignals.all) : nil
            var environment = environment
            if !global[GlobalFlags.config].isEmpty { environment["DOCKER_CONFIG"] = global[GlobalFlags.config] }
            let config = loadConfig(environment)
            let access = try EngineAccess(global, environment, config, programName: programName)
            let program = Program(
                name: programName, environment: environment,
                engine: command.needsEngine ? try access.client() : access.nobody(), access: access, config: config, signals: signals)
            let invocation = Invocation(program: program, flags: parsed.values, arguments: parsed.arguments)
            return waitingFor { await outcome(command, path, invocation) }
        } catch {
            return complain("\(Failure.text(error))\n", 1)
        }
    }

    /// What cannot be read is told and left alone: most commands do without.
    private func loadConfig(_ environment: [String: String]) -> DockerConfigFile {
        do {
            return try DockerConfigFile(environment: environment)
        } catch {
            _ = complain("WARNING: \(Failure.text(error))\n", 0)
            return DockerConfigFile(emptyFor: environment)
        }
    }

    /// Runs the command and reports its failure in Docker's words.
    private func outcome(_ command: Command, _ path: String, _ invocation: Invocation) async -> Int32 {
        do {
            return try await command.run(invocation)
        } catch let error as CommandFailure {
            return complain(error.message.isEmpty ? "" : "\(error.message)\n", error.code)
        } catch let error as SystemError where error.errno == .brokenPipe {
            return 1  // Whoever reads our output has enough.
        } catch {
            let text = Failure.text(error)
            guard command.failureCode != 1 else { return complain("\(text)\n", 1) }
            return complain(
                "\(programName): \(text)\n\nRun '\(path) --help' for more information\n", command.failureCode)
        }
    }

    private func show(_ text: String) -> Int32 { put(text, .output, 0) }
    private func complain(_ text: String, _ code: Int32) -> Int32 { put(text, .error, code) }

    private func put(_ text: String, _ stream: StandardStream, _ code: Int32) -> Int32 {
        // Nobody is left to tell when the stream itself is broken.
        try? stream.write(text)
        return code
    }
}

/// An error in one line.
enum Failure {
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as UsageError: error.message
        case let error as FlagValueError: error.message
        case let error as TemplateError: "template parsing error: \(error.message)"
        case let error as CommandFailure: error.message
        default: "\(error)"
        }
    }
}

enum SkiffVersion {
    static let number = "0.1.0"
}

/// The signals that a container gets in place of the client.
enum ProxiedSignals {
    static let windowChange = Signal(rawValue: 28)
    static let all = ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "CONT", "WINCH"].compactMap { Signal($0) }
}
