import FoundationEssentials
import SystemPackage

extension Command {
    static func manualPages() -> Command {
        Command(
            name: "man", usage: "DIRECTORY", summary: "Write the manual pages of all commands into a directory",
            arguments: .exactly(1), needsEngine: false
        ) { call in
            let folder = FilePath(call.arguments[0])
            for (name, text) in ManualPages(program: "skiff").all() {
                try Data(text.utf8).write(to: URL(filePath: folder.appending(name).string))
            }
            return 0
        }
    }
}

/// The manual pages of section 1 in the language of man(7), made of what `--help` says, so that they say the same.
struct ManualPages {
    let program: String

    /// All pages by the names of their files. A command that has two spellings has one page and a file that names it.
    func all() -> [(name: String, text: String)] {
        var pages = [("\(program).1", root())]
        for entry in CommandTree.topLevel { pages += files([entry.names[0]], entry) }
        for group in CommandTree.groups {
            pages.append(("\(program)-\(group.name).1", page(group)))
            for entry in group.entries { pages += files([group.name, entry.names[0]], entry) }
        }
        return pages
    }

    private func files(_ words: [String], _ entry: CommandEntry) -> [(String, String)] {
        let command = entry.make()
        let name = ([program] + words).joined(separator: "-")
        // Of `image ls` and `images` the second one, shorter to ask for, has the text.
        let short =
            CommandTree.spellings(of: command, program: program).map { $0.replacing(" ", with: "-") }
            .filter { $0.count { $0 == "-" } == 1 }.first ?? name
        guard short == name else { return [("\(name).1", ".so man1/\(short).1\n")] }
        return [("\(name).1", page(command, path: ([program] + words).joined(separator: " ")))]
    }

    private func page(_ command: Command, path: String) -> String {
        let spellings = CommandTree.spellings(of: command, program: program)
        var text = head(path, command.summary) + synopsis(path, command.usage) + ".SH DESCRIPTION\n\(Roff.text(command.summary)).\n"
        if spellings.count > 1 {
            text += ".PP\nOther spellings: " + spellings.filter { $0 != path }.map(Roff.bold).joined(separator: ", ") + ".\n"
        }
        text += options(command.flags, "OPTIONS")
        if command.failureCode == 125 {
            text += """
                .SH EXIT STATUS
                That of the command in the container, or
                .TP
                .B 125
                when the engine could not do what was asked,
                .TP
                .B 126
                when the command cannot be run,
                .TP
                .B 127
                when the command does not exist.

                """
        }
        return text + seeAlso(path.split(separator: " ").count > 2 ? ["\(program)-\(path.split(separator: " ")[1])"] : [])
    }

    private func page(_ group: CommandGroup) -> String {
        let path = "\(program) \(group.name)"
        return head(path, group.summary) + synopsis(path, "COMMAND") + ".SH COMMANDS\n" + list(group.entries) + seeAlso([])
    }

    private func root() -> String {
        var text = head(program, "containers, images and builds, with Docker's commands") + synopsis(program, "[OPTIONS] COMMAND")
        text += ".SH COMMANDS\n" + list(CommandTree.topLevel)
        for group in CommandTree.groups { text += Roff.item(Roff.bold("\(program) \(group.name)"), group.summary) }
        text += options(GlobalFlags.all, "OPTIONS") + ".SH ENVIRONMENT\n"
        for (name, meaning) in Self.variables { text += Roff.item(Roff.bold(name), meaning) }
        text += ".SH FILES\n"
        for (name, meaning) in Self.files { text += Roff.item(Roff.italic(name), meaning) }
        return text
    }

    private static let variables = [
        ("SKIFF_HOST, DOCKER_HOST", "The engine to speak to; the first one counts when both are there."),
        ("DOCKER_CONTEXT", "The context to use when neither -H nor a host of the environment says otherwise."),
        ("DOCKER_CONFIG", "The directory of the configuration, in place of ~/.docker."),
        ("DOCKER_API_VERSION", "The version of the API to speak, without falling back to an older one."),
        ("DOCKER_TLS, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH", "Encryption and where its certificates are."),
        ("DOCKER_CUSTOM_HEADERS", "Headers to send with every request, as key=value pairs with commas between them."),
        ("SKIFFD", "The engine's program, when it is not beside the command."),
    ]

    private static let files = [
        (EngineAccess.defaultSocket, "The engine's socket."),
        ("~/.docker/config.json", "Logins, formats, detach keys, headers and the current context."),
    ]

    // MARK: Parts

    private func head(_ path: String, _ summary: String) -> String {
        let name = path.replacing(" ", with: "-")
        return ".TH \(name.uppercased()) 1 \"\" \"Skiff \(SkiffVersion.number)\" \"Skiff\"\n.SH NAME\n\(Roff.text(name)) \\- \(Roff.text(summary))\n"
    }

    private func synopsis(_ path: String, _ usage: String) -> String {
        ".SH SYNOPSIS\n\(Roff.bold(path)) \(Roff.text(usage))\n"
    }

    private func list(_ entries: [CommandEntry]) -> String {
        entries.map { ($0.names[0], $0.make().summary) }.sorted { $0.0 < $1.0 }.map { Roff.item(Roff.bold($0.0), $0.1) }.joined()
    }

    private func options(_ flags: [any FlagDefinition], _ title: String) -> String {
        let shown = flags.filter { !$0.isHidden }.sorted { $0.name < $1.name }
        guard !shown.isEmpty else { return "" }
        return ".SH \(title)\n"
            + shown.map { flag in
                let short = flag.short.map { Roff.bold("-\($0)") + ", " } ?? ""
                let value = flag.placeholder.isEmpty ? "" : " " + Roff.italic(flag.placeholder)
                return Roff.item(short + Roff.bold("--\(flag.name)") + value, flag.help)
            }.joined()
    }

    private func seeAlso(_ names: [String]) -> String {
        ".SH SEE ALSO\n" + ([program] + names).map { Roff.bold($0) + "(1)" }.joined(separator: ", ") + "\n"
    }
}

/// The few forms of man(7) that the pages use.
private enum Roff {
    /// As it stands, whatever it holds: no letter of it commands the formatter.
    static func text(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { letter in
            switch letter {
            case "\\": "\\e"
            case "-": "\\-"
            case _ where letter.isASCII: String(letter)
            // groff reads Latin letters only.
            default: "\\[u\(Self.hexadecimal(letter.value))]"
            }
        }.joined()
        return escaped.hasPrefix(".") || escaped.hasPrefix("'") ? "\\&" + escaped : escaped
    }

    /// Four digits at least, as groff_char(7) wants them.
    private static func hexadecimal(_ number: UInt32) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    static func bold(_ text: String) -> String { "\\fB\(Self.text(text))\\fR" }
    static func italic(_ text: String) -> String { "\\fI\(Self.text(text))\\fR" }

    /// A term and what it means, indented.
    static func item(_ term: String, _ meaning: String) -> String { ".TP\n\(term)\n\(text(meaning))\n" }
}
