import DockerAPI
import EngineClient
import Linux

extension Command {
    private static let detachKeys = Flag<String>.text("detach-keys", "Keys that leave the container running")
    private static let sigProxy = Flag<Bool>.toggle("sig-proxy", initially: true, "Pass signals on to the process")

    static func start() -> Command {
        let attach = Flag<Bool>.toggle("attach", short: "a", "Show the output and pass signals on")
        let interactive = Flag<Bool>.toggle("interactive", short: "i", "Attach the container's standard input")
        return Command(
            name: "start", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Start stopped containers",
            arguments: .atLeast(1), flags: [attach, interactive, detachKeys], takesSignals: true
        ) { call in
            let program = call.program
            guard call[attach] || call[interactive] else {
                return try await program.forEach(call.arguments) { name in
                    try await program.engine.send(EngineRequest(.post, "/containers/\(EngineRequest.escaped(name))/start"))
                    try program.print(name)
                }
            }
            guard call.arguments.count == 1 else { throw CommandFailure("you cannot start and attach multiple containers at once") }
            let container = try await ContainerLookup(program.engine).inspect(call.arguments[0])
            return try await Attachment(program: program, container: container, detachKeys: call.detachKeys(detachKeys))
                .show(takesInput: call[interactive], proxiesSignals: true, startsFirst: true)
        }
    }

    static func attach() -> Command {
        let noStdin = Flag<Bool>.toggle("no-stdin", "Do not attach standard input")
        return Command(
            name: "attach", usage: "[OPTIONS] CONTAINER",
            summary: "Join the streams of a running container", arguments: .exactly(1),
            flags: [detachKeys, noStdin, sigProxy], takesSignals: true
        ) { call in
            let container = try await ContainerLookup(call.program.engine).inspect(call.arguments[0])
            guard container.State?.Running == true else {
                throw CommandFailure("cannot attach to a stopped container, start it first")
            }
            guard container.State?.Paused != true else {
                throw CommandFailure("cannot attach to a paused container, unpause it first")
            }
            guard container.State?.Restarting != true else {
                throw CommandFailure("cannot attach to a restarting container, wait until it is running")
            }
            return try await Attachment(program: call.program, container: container, detachKeys: call.detachKeys(detachKeys))
                .show(takesInput: !call[noStdin], proxiesSignals: call[sigProxy], startsFirst: false)
        }
    }
}

/// Joins a container that exists.
private struct Attachment: Sendable {
    let program: Program
    let container: ContainerInspectResponse
    let detachKeys: String

    func show(takesInput: Bool, proxiesSignals: Bool, startsFirst: Bool) async throws -> Int32 {
        let id = container.Id ?? ""
        let hasTerminal = container.Config?.Tty == true
        let input = takesInput && container.Config?.OpenStdin == true
        if input, hasTerminal, !StandardStream.input.isTerminal { throw CommandFailure("the input device is not a TTY") }
        let session = ContainerSession(
            program: program, id: id, hasTerminal: hasTerminal, takesInput: input, proxiesSignals: proxiesSignals,
            detachKeys: detachKeys)
        let wait = ContainerWait(engine: program.engine, id: id)
        let condition = startsFirst ? container.HostConfig?.AutoRemove == true ? "removed" : "next-exit" : ""
        let ending = Task { try await wait.exitCode(condition: condition) }
        defer { ending.cancel() }
        let engine = program.engine
        let outcome = try await session.run(
            start: { if startsFirst { try await engine.send(EngineRequest(.post, "/containers/\(id)/start")) } },
            end: { try await ending.value })
        guard case .exited(let code) = outcome else {
            try program.warn("read escape sequence")
            return 0
        }
        return code
    }
}

/// Finds containers by name or id.
struct ContainerLookup: Sendable {
    private let engine: EngineClient

    init(_ engine: EngineClient) { self.engine = engine }

    func inspect(_ name: String) async throws -> ContainerInspectResponse {
        try await engine.get(
            ContainerInspectResponse.self, EngineRequest(.get, "/containers/\(EngineRequest.escaped(name))/json"))
    }
}
