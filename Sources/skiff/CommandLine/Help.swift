/// The texts of `--help` and of the short hints after an error.
enum Help {
    static func usageLine(_ command: Command, path: String) -> String {
        command.usage.isEmpty ? "Usage:  \(path)" : "Usage:  \(path) \(command.usage)"
    }

    static func text(_ command: Command, path: String, spellings: [String]) -> String {
        var text = usageLine(command, path: path) + "\n\n\(command.summary)\n"
        if spellings.count > 1 { text += "\nAliases:\n  \(spellings.joined(separator: ", "))\n" }
        let flags = options(command.flags)
        if !flags.isEmpty { text += "\nOptions:\n\(flags)" }
        return text
    }

    static func text(_ group: CommandGroup, path: String) -> String {
        var text = "Usage:  \(path) COMMAND\n\n\(group.summary)\n\nCommands:\n"
        text += list(group.entries)
        return text + "\nRun '\(path) COMMAND --help' for more information on a command.\n"
    }

    static func root(program: String) -> String {
        var text = "Usage:  \(program) [OPTIONS] COMMAND\n\nContainers, images and builds, with Docker's commands\n"
        text += "\nCommon Commands:\n" + list(CommandTree.common)
        text += "\nManagement Commands:\n"
        let groups = CommandTree.groups
        let width = (groups.map(\.name.count).max() ?? 0) + 2
        for group in groups { text += "  \(padded(group.name, width))\(group.summary)\n" }
        text += "\nCommands:\n" + list(CommandTree.others)
        text += "\nGlobal Options:\n" + options(GlobalFlags.all)
        return text + "\nRun '\(program) COMMAND --help' for more information on a command.\n"
    }

    private static func list(_ entries: [CommandEntry]) -> String {
        let commands = entries.map { ($0.names[0], $0.make().summary) }.sorted { $0.0 < $1.0 }
        let width = (commands.map(\.0.count).max() ?? 0) + 2
        return commands.map { "  \(padded($0.0, width))\($0.1)\n" }.joined()
    }

    private static func options(_ flags: [any FlagDefinition]) -> String {
        let lines = flags.filter { !$0.isHidden }.sorted { $0.name < $1.name }.map { flag in
            let short = flag.short.map { "-\($0), " } ?? "    "
            let placeholder = flag.placeholder.isEmpty ? "" : " \(flag.placeholder)"
            return ("  \(short)--\(flag.name)\(placeholder)", flag.help)
        }
        let width = (lines.map(\.0.count).max() ?? 0) + 3
        return lines.map { "\(padded($0.0, width))\($0.1)\n" }.joined()
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
