import Linux
import OCI
import OCIRuntime
import SystemPackage

/// The OCI runtime with runc's command line, and the supervisor that stays beside each container of the engine.
@main
enum Main {
    static let version = "0.1.0"

    /// As `CommandLine.arguments`, sooner.
    private static let words: [String] = {
        var words: [String] = []
        for index in 0..<Int(CommandLine.argc) {
            if let word = CommandLine.unsafeArgv[index] { words.append(String(cString: word)) }
        }
        return words
    }()

    static func main() {
        let arguments = Array(words.dropFirst())
        if words.first == ReapingInit.path { ReapingInit.main(arguments) }
        if arguments.first == "supervise" {
            do { try shield() } catch { endProcess(fail("", error, nil)) }
            Supervise.main(Array(arguments.dropFirst()))
        }
        LogHelper.main(arguments)
        MountChange.main(arguments)
        endProcess(run(arguments))
    }

    private static let globalOptions: [Command.Option] = [
        .init("root", value: "DIR", "directory for the state of containers"),
        .init("log", value: "FILE", "log file, errors go to standard error as well"),
        .init("log-format", value: "text|json", "format of the log (default: text)"),
        .init("log-level", value: "LEVEL", "error, warning, info or debug"),
        .init("debug", "the same as --log-level debug"),
        .init("systemd-cgroup", "let systemd look after the cgroups"),
        .init("cgroup-manager", value: "NAME", "cgroupfs, systemd or disabled"),
        .init("rootless", value: "true|false|auto", "do without cgroups that may not be made"),
        .init("criu", value: "PATH", "CRIU for checkpoint and restore (default: the one in $PATH)"),
        .init("version", "v", "V", "print the version"),
        .init("help", "h", "show help"),
    ]

    private static func run(_ arguments: [String]) -> Int32 {
        let options: Options
        do {
            options = try Options(
                arguments,
                .init(
                    values: globalOptions.filter { $0.value != nil }.map(\.names), flags: globalOptions.filter { $0.value == nil }.map(\.names)))
        } catch {
            return fail("", UsageError("Incorrect Usage: \(error)", help: help), nil)
        }
        if options.has("version") { return say(versionText) }
        guard let name = options.rest.first, !options.has("help") else { return say(help) }
        if name == "help" || name == "h" {
            guard options.rest.count > 1, let command = Commands.all.first(where: { $0.name == options.rest[1] }) else { return say(help) }
            return say(command.help)
        }
        let log = ErrorLog(
            path: options["log"], isJSON: options["log-format"] == "json",
            tellsAll: options.has("debug") || options["log-level"] == "debug")
        guard let command = Commands.all.first(where: { $0.name == name }) else {
            return fail("", RuntimeError("No help topic for '\(name)'", exitCode: 3), log)
        }
        do {
            try check(options)
            let root = try root(options)
            if ["create", "run", "exec"].contains(name) { try shield() }
            log.write(.debug, "\(name) \(options.rest.dropFirst().joined(separator: " "))")
            return try command(root, Array(options.rest.dropFirst()))
        } catch {
            return fail(name, error, log)
        }
    }

    private static func check(_ options: Options) throws {
        func oneOf(_ option: String, _ allowed: [String]) throws {
            guard let value = options[option], !allowed.contains(value) else { return }
            throw RuntimeError("invalid \(option): \(value)")
        }
        try oneOf("log-format", ["text", "json"])
        try oneOf("log-level", ["error", "warning", "warn", "info", "debug"])
        try oneOf("cgroup-manager", ["cgroupfs", "systemd", "disabled"])
        try oneOf("rootless", ["true", "false", "auto", "1", "0", "True", "False"])
    }

    private static func root(_ options: Options) throws -> RuntimeRoot {
        let isUser = CurrentProcess.effectiveUserID != 0
        let isRootless: Bool
        switch options["rootless"]?.lowercased() {
        case "true", "1": isRootless = true
        case "false", "0": isRootless = false
        default: isRootless = isUser
        }
        var driver = options["cgroup-manager"].flatMap { CgroupDriver(rawValue: $0) } ?? .cgroupfs
        if options.has("systemd-cgroup") { driver = .systemd }
        let personal = CurrentProcess.environment.first { $0.hasPrefix("XDG_RUNTIME_DIR=") }?.dropFirst(16)
        let usual = isUser && personal?.isEmpty == false ? "\(personal ?? "")/skiff-runtime" : "/run/skiff-runtime"
        let path = FilePath(options["root"] ?? usual)
        // Commands go into the bundle, so a relative path has to be read before.
        let absolute = path.isAbsolute ? path : FilePath(try Identity.workingDirectory()).pushing(path)
        return RuntimeRoot(absolute, driver: driver, isRootless: isRootless, criu: options["criu"])
    }

    /// Before anything of a container runs: it must not be able to change the program that started it.
    private static func shield() throws {
        try ProgramFile.shield(arguments: words)
    }

    static func say(_ text: String) -> Int32 {
        // Whoever does not want to hear it has closed the descriptor.
        try? StandardStream.output.write(text)
        return 0
    }

    /// One line on standard error, the same in the log, and the exit code. For a command line that makes no sense, help.
    private static func fail(_ command: String, _ error: any Error, _ log: ErrorLog?) -> Int32 {
        let text = runtimeText(error)
        if let usage = error as? UsageError { _ = say(usage.help) }
        let message = command.isEmpty || error is UsageError ? text : "\(Self.prefix(command))\(text)"
        log?.write(.error, message)
        try? StandardStream.error.write("\(message)\n")  // As in `say`.
        return (error as? RuntimeError)?.exitCode ?? 1
    }

    /// runc tells which command failed where a process was to be started.
    private static func prefix(_ command: String) -> String {
        switch command {
        case "create", "run": "runc \(command) failed: "
        case "exec": "exec failed: "
        default: ""
        }
    }

    private static let versionText = """
        skiff-runtime version \(version)
        spec: \(RuntimeSpec.newestVersion)

        """

    private static var help: String {
        let width = (Commands.all.map(\.name.count).max() ?? 0) + 3
        let commands = Commands.all.map { "   \($0.name)\(String(repeating: " ", count: width - $0.name.count))\($0.text)\n" }.joined()
        return """
            NAME:
               skiff-runtime - Open Container Initiative runtime

            USAGE:
               skiff-runtime [global options] command [command options] [arguments...]

            COMMANDS:
            \(commands)
            GLOBAL OPTIONS:
            \(Command.table(globalOptions))
            """
    }
}
