import Linux
import OCI
import OCIRuntime
import SystemPackage

/// The OCI runtime with runc's command line, and the supervisor that stays beside each container of the engine.
@main
enum Main {
    static let version = "0.1.0"

    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if CommandLine.arguments.first == ReapingInit.path { ReapingInit.main(arguments) }
        if arguments.first == "supervise" {
            do { try shield() } catch { endProcess(fail("", error, nil)) }
            Supervise.main(Array(arguments.dropFirst()))
        }
        endProcess(run(arguments))
    }

    private static let globalOptions = Options.Known(
        values: [["root"], ["log"], ["log-format"], ["log-level"], ["rootless"], ["criu"], ["cgroup-manager"]],
        flags: [["debug"], ["systemd-cgroup"], ["version", "v"], ["help", "h"]])

    private static func run(_ arguments: [String]) -> Int32 {
        let options: Options
        do {
            options = try Options(arguments, globalOptions)
        } catch {
            return fail("", error, nil)
        }
        let log = ErrorLog(path: options["log"], isJSON: options["log-format"] == "json")
        if options.has("version") { return say(versionText) }
        guard let name = options.rest.first, !options.has("help") else { return say(help) }
        guard let command = Commands.all[name] else {
            return fail("", RuntimeError("No help topic for '\(name)'", exitCode: 3), log)
        }
        do {
            if options.has("systemd-cgroup") { throw RuntimeError("the systemd cgroup driver is not supported") }
            if ["create", "run", "exec"].contains(name) { try shield() }
            let root = RuntimeRoot(FilePath(options["root"] ?? "/run/skiff-runtime"))
            return try command(root, Array(options.rest.dropFirst()))
        } catch {
            return fail(name, error, log)
        }
    }

    /// Before anything of a container runs: it must not be able to change the program that started it.
    private static func shield() throws {
        try ProgramFile.shield(arguments: CommandLine.arguments)
    }

    private static func say(_ text: String) -> Int32 {
        // Whoever does not want to hear it has closed the descriptor.
        try? StandardStream.output.write(text)
        return 0
    }

    /// One line on standard error, the same in the log, and the exit code.
    private static func fail(_ command: String, _ error: any Error, _ log: ErrorLog?) -> Int32 {
        let text = runtimeText(error)
        let message = command.isEmpty || error is UsageError ? text : "\(Self.prefix(command))\(text)"
        log?.write(message)
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
        spec: 1.2.1

        """

    private static let help = """
        usage: skiff-runtime [--root DIR] [--log FILE] [--log-format text|json] COMMAND

          create [-b BUNDLE] [--console-socket S] [--pid-file F] [--preserve-fds N] ID
          start ID
          run [-b BUNDLE] [-d] [--keep] [--console-socket S] [--pid-file F] [--preserve-fds N] ID
          exec [-p FILE] [-d] [-t] [-e NAME=VALUE] [-u UID[:GID]] [--cwd DIR] ID [COMMAND [ARGUMENT...]]
          state ID
          kill [-a] ID [SIGNAL]
          delete [-f] ID
          list [-q] [-f table|json]
          ps [-f json] ID
          pause ID
          resume ID
          update -r FILE ID
          features

        """
}

/// The file that `--log` names: one line for each error, as containerd and Docker read it.
struct ErrorLog {
    let path: String?
    let isJSON: Bool

    func write(_ message: String) {
        guard let path else { return }
        let time = Timestamp.now().description
        let record: JSONValue = ["level": "error", "msg": .string(message), "time": .string(time)]
        let text = JSONValue.string(message).serialized()
        let line = isJSON ? record.serialized() : Array("time=\"\(time)\" level=error msg=".utf8) + text
        // The error itself goes to standard error as well; a log that cannot be written adds nothing to it.
        let file = try? OwnedFD.open(FilePath(path), [.writeOnly, .create, .append], mode: 0o644)
        try? file?.writeAll(line + [0x0A])
    }
}
