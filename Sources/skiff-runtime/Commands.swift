import Linux
import OCI
import OCIRuntime
import SystemPackage

/// The commands of the program.
enum Commands {
    static let all: [Command] = [
        checkpoint, create, delete, events, exec, features, kill, list, pause, processes, restore, resume, run, spec, start, state,
        update,
    ]

    static let creation: [Command.Option] = [
        .init("bundle", "b", value: "DIR", "path to the root of the bundle directory, defaults to the current directory"),
        .init("console-socket", value: "SOCKET", "unix socket which will receive the terminal's descriptor"),
        .init("pidfd-socket", value: "SOCKET", "unix socket which will receive a descriptor of the process"),
        .init("pid-file", value: "FILE", "file to write the process id to"),
        .init("no-subreaper", "take no orphans in"),
        .init("no-pivot", "do not use pivot root inside the root file system"),
        .init("no-new-keyring", "do not make a new session keyring for the container"),
        .init("preserve-fds", value: "N", "pass N additional descriptors to the container (stdio + $LISTEN_FDS + N in total)"),
    ]

    private static let create = Command(
        name: "create", usage: "<container-id>", words: 1...1, text: "create a container",
        options: creation + [.init("config", "f", value: "FILE", "configuration in place of the bundle's config.json")]
    ) { root, options in
        try root.create(options.rest[0], bundle: try bundle(options), try request(options, detach: true))
        return 0
    }

    private static let run = Command(
        name: "run", usage: "<container-id>", words: 1...1, text: "create and run a container",
        options: creation + [
            .init("config", "f", value: "FILE", "configuration in place of the bundle's config.json"),
            .init("detach", "d", "detach from the container's process"),
            .init("keep", "do not delete the container after it exits"),
        ]
    ) { root, options in
        try root.run(
            options.rest[0], bundle: try bundle(options), try request(options, detach: options.has("detach")), keep: options.has("keep"))
    }

    private static let start = Command(
        name: "start", usage: "<container-id>", words: 1...1, text: "executes the user defined process in a created container"
    ) { root, options in
        try root.start(options.rest[0])
        return 0
    }

    private static let state = Command(
        name: "state", usage: "<container-id>", words: 1...1, text: "output the state of a container"
    ) { root, options in
        try StandardStream.output.write(try root.stateJSON(options.rest[0]).serialized(indented: true) + [0x0A])
        return 0
    }

    private static let kill = Command(
        name: "kill", usage: "<container-id> [signal]", words: 1...2,
        text: "sends the specified signal (default: SIGTERM) to the container's init process",
        options: [.init("all", "a", "a container that has stopped is no error")]
    ) { root, options in
        let name = options.rest.count > 1 ? options.rest[1] : "SIGTERM"
        guard let signal = Signal(name) else { throw RuntimeError("unknown signal \"\(name)\"") }
        try root.kill(options.rest[0], signal, all: options.has("all"))
        return 0
    }

    private static let delete = Command(
        name: "delete", usage: "<container-id>", words: 1...1, text: "delete any resources held by the container",
        options: [.init("force", "f", "forcibly deletes the container if it is still running (uses SIGKILL)")]
    ) { root, options in
        try root.delete(options.rest[0], force: options.has("force"))
        return 0
    }

    private static let pause = Command(
        name: "pause", usage: "<container-id>", words: 1...1, text: "suspends all processes inside the container"
    ) { root, options in
        try root.setPaused(options.rest[0], true)
        return 0
    }

    private static let resume = Command(
        name: "resume", usage: "<container-id>", words: 1...1, text: "resumes all processes that have been previously paused"
    ) { root, options in
        try root.setPaused(options.rest[0], false)
        return 0
    }

    private static let features = Command(
        name: "features", usage: " ", words: 0...0, text: "show the enabled features"
    ) { _, _ in
        try StandardStream.output.write(runtimeFeatures(version: Main.version).serialized(indented: true) + [0x0A])
        return 0
    }

    private static let spec = Command(
        name: "spec", usage: " ", words: 0...0, text: "create a new specification file",
        options: [
            .init("bundle", "b", value: "DIR", "path to the root of the bundle directory"),
            .init("rootless", "generate a configuration for a rootless container"),
        ]
    ) { _, options in
        try writeDefaultSpec(in: FilePath(options["bundle"] ?? "."), rootless: options.has("rootless"))
        return 0
    }

    static func request(_ options: Options, detach: Bool) throws -> ProcessRequest {
        var request = ProcessRequest()
        request.consoleSocket = options["console-socket"]
        request.pidfdSocket = options["pidfd-socket"]
        request.pidFile = options["pid-file"]
        request.preservedDescriptors = try options.number("preserve-fds") ?? 0
        request.detach = detach
        request.newKeyring = !options.has("no-new-keyring")
        request.keepsOldRoot = options.has("no-pivot")
        request.configuration = options["config"]
        request.listenDescriptors = try listenDescriptors()
        return request
    }

    /// How many sockets systemd has opened for this very process (sd_listen_fds(3)).
    private static func listenDescriptors() throws -> Int {
        func variable(_ name: String) -> Substring? {
            CurrentProcess.environment.first { $0.hasPrefix("\(name)=") }?.dropFirst(name.count + 1)
        }
        guard let count = variable("LISTEN_FDS").flatMap({ Int($0) }), variable("LISTEN_PID") == "\(CurrentProcess.id)" else { return 0 }
        guard (0...1024).contains(count) else { throw RuntimeError("LISTEN_FDS is \(count)") }
        return count
    }

    /// The bundle as an absolute path; the program goes there, as everything in it may be relative.
    static func bundle(_ options: Options) throws -> FilePath {
        try RuntimeRoot.enter(FilePath(options["bundle"] ?? "."))
    }
}
