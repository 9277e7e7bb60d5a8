/// All commands by name.
enum CommandTree {
    static let common: [CommandEntry] = [
        CommandEntry("run", make: Command.run), CommandEntry("exec", make: Command.exec),
        CommandEntry("ps", make: Command.ps), CommandEntry("build", make: Command.build),
        CommandEntry("images", make: Command.images), CommandEntry("version", make: Command.version),
        CommandEntry("info", make: Command.info),
    ]

    static let others: [CommandEntry] = [
        CommandEntry("attach", make: Command.attach), CommandEntry("commit", make: Command.commit),
        CommandEntry("completion", make: Command.completion), CommandEntry("cp", make: Command.copy),
        CommandEntry("create", make: Command.create), CommandEntry("diff", make: Command.diff),
        CommandEntry("events", make: Command.events), CommandEntry("export", make: Command.export),
        CommandEntry("history", make: Command.history), CommandEntry("import", make: Command.importImage),
        CommandEntry("inspect", make: Command.inspect), CommandEntry("kill", make: Command.kill),
        CommandEntry("load", make: Command.load), CommandEntry("logs", make: Command.logs),
        CommandEntry("login", make: Command.login), CommandEntry("logout", make: Command.logout),
        CommandEntry("man", make: Command.manualPages),
        CommandEntry("pause", make: Command.pause), CommandEntry("port", make: Command.port),
        CommandEntry("pull", make: Command.pull), CommandEntry("push", make: Command.push),
        CommandEntry("rename", make: Command.rename), CommandEntry("restart", make: Command.restart),
        CommandEntry("rm", make: Command.remove), CommandEntry("rmi", make: Command.removeImage),
        CommandEntry("save", make: Command.save), CommandEntry("search", make: Command.search), CommandEntry("start", make: Command.start),
        CommandEntry("stats", make: Command.stats), CommandEntry("stop", make: Command.stop),
        CommandEntry("tag", make: Command.tag), CommandEntry("top", make: Command.top),
        CommandEntry("unpause", make: Command.unpause), CommandEntry("update", make: Command.update),
        CommandEntry("wait", make: Command.wait),
    ]

    static let groups: [CommandGroup] = [container, .context, image, manifest, network, system, volume, builder]

    private static let container = CommandGroup(
        name: "container", summary: "Manage containers",
        entries: [
            CommandEntry("attach", make: Command.attach), CommandEntry("commit", make: Command.commit),
            CommandEntry("cp", make: Command.copy), CommandEntry("create", make: Command.create),
            CommandEntry("diff", make: Command.diff), CommandEntry("exec", make: Command.exec),
            CommandEntry("export", make: Command.export), CommandEntry("inspect", make: Command.inspectContainer),
            CommandEntry("kill", make: Command.kill), CommandEntry("logs", make: Command.logs),
            CommandEntry("ls", "list", "ps", make: Command.ps), CommandEntry("pause", make: Command.pause),
            CommandEntry("port", make: Command.port), CommandEntry("prune", make: Command.pruneContainers),
            CommandEntry("rename", make: Command.rename), CommandEntry("restart", make: Command.restart),
            CommandEntry("rm", "remove", make: Command.remove), CommandEntry("run", make: Command.run),
            CommandEntry("start", make: Command.start), CommandEntry("stats", make: Command.stats),
            CommandEntry("stop", make: Command.stop), CommandEntry("top", make: Command.top),
            CommandEntry("unpause", make: Command.unpause), CommandEntry("update", make: Command.update),
            CommandEntry("wait", make: Command.wait),
        ])

    private static let image = CommandGroup(
        name: "image", summary: "Manage images",
        entries: [
            CommandEntry("bootstrap", make: Command.bootstrap), CommandEntry("build", make: Command.build),
            CommandEntry("diff", make: Command.compareImages),
            CommandEntry("history", make: Command.history), CommandEntry("import", make: Command.importImage),
            CommandEntry("inspect", make: Command.inspectImage), CommandEntry("load", make: Command.load),
            CommandEntry("ls", "list", make: Command.images), CommandEntry("prune", make: Command.pruneImages),
            CommandEntry("pull", make: Command.pull), CommandEntry("push", make: Command.push),
            CommandEntry("rm", "remove", make: Command.removeImage), CommandEntry("save", make: Command.save),
            CommandEntry("tag", make: Command.tag),
        ])

    private static let manifest = CommandGroup(
        name: "manifest", summary: "Look at manifests of registries",
        entries: [CommandEntry("inspect", make: Command.inspectManifest)])

    private static let network = CommandGroup(
        name: "network", summary: "Manage networks",
        entries: [
            CommandEntry("connect", make: Command.connectNetwork), CommandEntry("create", make: Command.createNetwork),
            CommandEntry("disconnect", make: Command.disconnectNetwork),
            CommandEntry("explain", make: Command.explainNetwork),
            CommandEntry("inspect", make: Command.inspectNetwork), CommandEntry("ls", "list", make: Command.networks),
            CommandEntry("prune", make: Command.pruneNetworks),
            CommandEntry("rm", "remove", make: Command.removeNetwork),
        ])

    private static let volume = CommandGroup(
        name: "volume", summary: "Manage volumes",
        entries: [
            CommandEntry("create", make: Command.createVolume), CommandEntry("inspect", make: Command.inspectVolume),
            CommandEntry("ls", "list", make: Command.volumes), CommandEntry("prune", make: Command.pruneVolumes),
            CommandEntry("rm", "remove", make: Command.removeVolume),
        ])

    private static let system = CommandGroup(
        name: "system", summary: "Manage the engine",
        entries: [
            CommandEntry("check", make: Command.checkSystem),
            CommandEntry("df", make: Command.diskUsage), CommandEntry("dial-stdio", make: Command.dialStdio),
            CommandEntry("events", make: Command.events),
            CommandEntry("info", make: Command.info), CommandEntry("prune", make: Command.pruneSystem),
        ])

    private static let builder = CommandGroup(
        name: "builder", summary: "Manage builds",
        entries: [
            CommandEntry("build", make: Command.build), CommandEntry("prune", make: Command.pruneBuilder),
        ])

    static var topLevel: [CommandEntry] { common + others }

    static func command(_ name: String, in entries: [CommandEntry]) -> Command? {
        entries.first { $0.names.contains(name) }?.make()
    }

    /// Every way to call the same command, for the help: `skiff container rm, skiff container remove, skiff rm`.
    static func spellings(of command: Command, program: String) -> [String] {
        let inGroups = groups.flatMap { group in
            group.entries.filter { $0.make().usageKey == command.usageKey }
                .flatMap { $0.names.map { "\(program) \(group.name) \($0)" } }
        }
        let above = topLevel.filter { $0.make().usageKey == command.usageKey }
            .flatMap { $0.names.map { "\(program) \($0)" } }
        return inGroups + above
    }
}

extension Command {
    /// What makes two entries the same command.
    fileprivate var usageKey: String { "\(name) \(usage) \(summary)" }
}
