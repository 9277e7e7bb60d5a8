import Linux
import OCI
import OCIRuntime
import SystemPackage

/// The commands by name. Each reads its options and answers the exit code.
enum Commands {
    typealias Command = @Sendable (RuntimeRoot, [String]) throws -> Int32

    static let all: [String: Command] = [
        "create": create, "start": start, "run": run, "exec": exec, "state": state, "kill": kill, "delete": delete,
        "list": list, "ps": processes, "pause": pause, "resume": resume, "update": update, "features": features,
    ]

    private static let creationValues = [["bundle", "b"], ["console-socket"], ["pidfd-socket"], ["pid-file"], ["preserve-fds"]]
    private static let creationFlags = [["no-pivot"], ["no-new-keyring"]]

    private static let create: Command = { root, arguments in
        let options = try Options(arguments, .init(values: creationValues, flags: creationFlags))
        try root.create(try options.id(), bundle: try bundle(options), try request(options, detach: true))
        return 0
    }

    private static let run: Command = { root, arguments in
        let options = try Options(
            arguments,
            .init(values: creationValues, flags: creationFlags + [["detach", "d"], ["keep"], ["no-subreaper"]]))
        return try root.run(
            try options.id(), bundle: try bundle(options), try request(options, detach: options.has("detach")),
            keep: options.has("keep"))
    }

    private static let start: Command = { root, arguments in
        try root.start(try Options(arguments, .init()).id())
        return 0
    }

    private static let state: Command = { root, arguments in
        let state = try root.stateJSON(try Options(arguments, .init()).id())
        try StandardStream.output.write(state.serialized(indented: true))
        return 0
    }

    private static let kill: Command = { root, arguments in
        let options = try Options(arguments, .init(flags: [["all", "a"]]))
        let name = options.rest.dropFirst().first ?? "SIGTERM"
        guard let signal = Signal(name) else { throw RuntimeError("unknown signal \"\(name)\"") }
        try root.kill(try options.id(), signal, all: options.has("all"))
        return 0
    }

    private static let delete: Command = { root, arguments in
        let options = try Options(arguments, .init(flags: [["force", "f"]]))
        try root.delete(try options.id(), force: options.has("force"))
        return 0
    }

    private static let pause: Command = { root, arguments in
        try root.setPaused(try Options(arguments, .init()).id(), true)
        return 0
    }

    private static let resume: Command = { root, arguments in
        try root.setPaused(try Options(arguments, .init()).id(), false)
        return 0
    }

    private static let processes: Command = { root, arguments in
        let options = try Options(arguments, .init(values: [["format", "f"]]))
        let pids = try root.processes(try options.id())
        if options["format"] == "json" {
            try StandardStream.output.write(JSONValue.array(pids.map { .int(Int64($0)) }).serialized() + [0x0A])
        } else {
            try StandardStream.output.write("PID\n" + pids.map { "\($0)\n" }.joined())
        }
        return 0
    }

    private static let list: Command = { root, arguments in
        let options = try Options(arguments, .init(values: [["format", "f"]], flags: [["quiet", "q"]]))
        // One that goes away while we look is not listed.
        let states = try root.ids().compactMap { try? root.stateJSON($0) }
        if options["format"] == "json" {
            try StandardStream.output.write(JSONValue.array(states).serialized() + [0x0A])
        } else if options.has("quiet") {
            try StandardStream.output.write(states.map { "\($0["id"]?.string ?? "")\n" }.joined())
        } else {
            try StandardStream.output.write(table(states))
        }
        return 0
    }

    private static func table(_ states: [JSONValue]) -> String {
        let rows =
            [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            + states.map { state in
                [
                    state["id"]?.string ?? "", "\(state["pid"]?.integer ?? 0)", state["status"]?.string ?? "",
                    state["bundle"]?.string ?? "", state["created"]?.string ?? "", "root",
                ]
            }
        let widths = (0..<6).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count + 3) }.joined() + "\n"
        }.joined()
    }

    private static let update: Command = { root, arguments in
        let options = try Options(arguments, .init(values: [["resources", "r"]]))
        guard let path = options["resources"] else { throw UsageError("flag needed: --resources") }
        let file = path == "-" ? try OwnedFD.duplicating(0) : try OwnedFD.open(FilePath(path), .readOnly)
        try root.update(try options.id(), resources: try JSONValue.parse(try file.readAll(limit: 1 << 20)))
        return 0
    }

    private static let features: Command = { _, _ in
        try StandardStream.output.write(runtimeFeatures().serialized(indented: true) + [0x0A])
        return 0
    }

    private static func request(_ options: Options, detach: Bool) throws -> ProcessRequest {
        guard options["pidfd-socket"] == nil else { throw RuntimeError("--pidfd-socket is not supported") }
        return ProcessRequest(
            consoleSocket: options["console-socket"], pidFile: options["pid-file"],
            preservedDescriptors: try options.number("preserve-fds") ?? 0, detach: detach)
    }

    /// The bundle as an absolute path; the program goes there, as everything in it may be relative.
    private static func bundle(_ options: Options) throws -> FilePath {
        let path = FilePath(options["bundle"] ?? ".")
        let directory: OwnedFD
        do {
            directory = try OwnedFD.open(path, [.path, .directory])
        } catch {
            throw RuntimeError("chdir \(path): \(error.errno.goText)")
        }
        try Identity.changeDirectory(directory)
        return FilePath(try Identity.workingDirectory())
    }

    private static let exec: Command = { root, arguments in
        let options = try Options(arguments, execOptions)
        let id = try options.id()
        var process: RuntimeSpec.Process
        if let path = options["process"] {
            let file = try OwnedFD.open(FilePath(path), .readOnly)
            process = try RuntimeSpec.Process(json: try JSONValue.parse(try file.readAll(limit: 4 << 20)))
        } else {
            guard options.rest.count > 1 else { throw UsageError("exec requires a command") }
            process = try root.execProcess(id, arguments: Array(options.rest.dropFirst()))
            try adjust(&process, options)
        }
        return try root.exec(id, process, try request(options, detach: options.has("detach")))
    }

    private static let execOptions = Options.Known(
        values: [
            ["process", "p"], ["console-socket"], ["pidfd-socket"], ["pid-file"], ["preserve-fds"], ["cwd"], ["env", "e"],
            ["user", "u"], ["additional-gids", "g"], ["cap", "c"],
        ],
        flags: [["detach", "d"], ["tty", "t"], ["no-new-privs"], ["ignore-paused"]])

    private static func adjust(_ process: inout RuntimeSpec.Process, _ options: Options) throws {
        process.terminal = options.has("tty")
        if let cwd = options["cwd"] { process.cwd = cwd }
        process.env += options.values["env"] ?? []
        if options.has("no-new-privs") { process.noNewPrivileges = true }
        if let user = options["user"] {
            let parts = user.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let uid = UInt32(parts[0]), let gid = parts.count == 2 ? UInt32(parts[1]) : 0 else {
                throw RuntimeError("parsing \(user): invalid user")
            }
            process.user.uid = uid
            if parts.count == 2 { process.user.gid = gid }
        }
        for group in options.values["additional-gids"] ?? [] {
            guard let gid = UInt32(group) else { throw RuntimeError("parsing \(group): invalid group") }
            process.user.additionalGids.append(gid)
        }
        for capability in options.values["cap"] ?? [] {
            var sets = process.capabilities ?? RuntimeSpec.Capabilities()
            sets.bounding.append(capability)
            sets.effective.append(capability)
            sets.permitted.append(capability)
            process.capabilities = sets
        }
    }
}
