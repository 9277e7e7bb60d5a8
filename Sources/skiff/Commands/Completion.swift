extension Command {
    static func completion() -> Command {
        Command(
            name: "completion", usage: "SHELL", summary: "Write the completion script for bash, zsh or fish",
            arguments: .exactly(1)
        ) { call in
            let program = call.program.name
            switch call.arguments[0] {
            case "bash": try call.program.write(CompletionScript.bash(program))
            case "zsh": try call.program.write(CompletionScript.zsh(program))
            case "fish": try call.program.write(CompletionScript.fish(program))
            case let other: throw CommandFailure("unsupported shell: \(other) (bash, zsh or fish)")
            }
            return 0
        }
    }
}

/// Scripts that complete commands, flags and names. The words are written into the script; names are asked for when the
/// user wants them.
enum CompletionScript {
    private struct Words {
        let path: String
        let flags: [String]
        let subcommands: [String]
    }

    private static func all() -> [Words] {
        func words(_ prefix: String, _ entries: [CommandEntry]) -> [Words] {
            entries.flatMap { entry -> [Words] in
                let flags = entry.make().flags.filter { !$0.isHidden }.map { "--\($0.name)" }.sorted()
                return entry.names.map { Words(path: prefix + $0, flags: flags, subcommands: []) }
            }
        }
        let groups = CommandTree.groups.flatMap { group in
            [Words(path: group.name, flags: [], subcommands: group.entries.flatMap(\.names))]
                + words("\(group.name) ", group.entries)
        }
        let top = (CommandTree.topLevel.flatMap(\.names) + CommandTree.groups.map(\.name)).sorted()
        return [Words(path: "", flags: GlobalFlags.all.map { "--\($0.name)" }, subcommands: top)]
            + words("", CommandTree.topLevel) + groups
    }

    /// The names that a command takes, by the command that lists them.
    private static let namesByCommand = [
        (
            "attach exec kill logs pause port restart rm start stop stats top unpause wait rename commit cp diff export update",
            "ps -a --format '{{.Names}}'"
        ),
        ("run create rmi tag history save", "images --format '{{.Repository}}:{{.Tag}}'"),
    ]

    static func bash(_ program: String) -> String {
        let cases = all().map { words in
            "        '\(words.path)') words='\((words.subcommands + words.flags).joined(separator: " "))' ;;\n"
        }.joined()
        let names = namesByCommand.map { verbs, list in
            "        \(verbs.split(separator: " ").joined(separator: "|"))) words=\"$(\(program) \(list) 2>/dev/null)\" ;;\n"
        }.joined()
        return """
            _\(program)() {
                local current=${COMP_WORDS[COMP_CWORD]} path='' verb='' words='' word
                for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
                    case $word in -*) ;; *) [ "$(wc -w <<<"$path")" -lt 2 ] && path="${path:+$path }$word" && verb=$word ;; esac
                done
                case $path in \(CommandTree.groups.map { "\($0.name)\\ *" }.joined(separator: "|"))) ;; *) path=${path%% *} verb=$path ;; esac
                case $path in
            \(cases)    esac
                if [[ $current != -* && -n $path ]]; then
                    case $verb in
            \(names)        esac
                fi
                COMPREPLY=($(compgen -W "$words" -- "$current"))
            }
            complete -o default -F _\(program) \(program)

            """
    }

    static func zsh(_ program: String) -> String {
        "autoload -U +X bashcompinit && bashcompinit\n" + bash(program)
    }

    static func fish(_ program: String) -> String {
        var text = "complete -c \(program) -f\n"
        for words in all() {
            let parts = words.path.split(separator: " ")
            let condition = parts.isEmpty ? "__fish_use_subcommand" : parts.map { "__fish_seen_subcommand_from \($0)" }.joined(separator: "; and ")
            if !words.subcommands.isEmpty {
                text += "complete -c \(program) -n '\(condition)' -a '\(words.subcommands.joined(separator: " "))'\n"
            }
            for flag in words.flags { text += "complete -c \(program) -n '\(condition)' -l \(flag.dropFirst(2))\n" }
        }
        for (verbs, list) in namesByCommand {
            text += "complete -c \(program) -n '__fish_seen_subcommand_from \(verbs)' -a \"(\(program) \(list) 2>/dev/null)\"\n"
        }
        return text
    }
}
