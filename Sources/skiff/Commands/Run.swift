import DockerAPI
import EngineClient
import Linux
import OCI

extension Command {
    private static let detach = Flag<Bool>.toggle("detach", short: "d", "Run in the background and print the id")
    private static let sigProxy = Flag<Bool>.toggle("sig-proxy", initially: true, "Pass signals on to the process")
    private static let detachKeys = Flag<String>.text("detach-keys", "Keys that leave the container running")

    static func run() -> Command {
        Command(
            name: "run", usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
            summary: "Make a container from an image and run it", arguments: .atLeast(1),
            flags: ContainerFlags.all + [detach, sigProxy, detachKeys], stopsAtFirstArgument: true, takesSignals: true,
            failureCode: 125
        ) { call in
            let isDetached = call[detach]
            guard !isDetached || call[ContainerFlags.attach].isEmpty else {
                throw CommandFailure("conflicting options: cannot specify both --attach and --detach")
            }
            let request = try ContainerRequest(call, attaches: !isDetached).make()
            if request.AttachStdin == true, request.Tty == true, !StandardStream.input.isTerminal {
                throw CommandFailure("the input device is not a TTY")
            }
            let id = try await ContainerCreation(call: call).run(request)
            let attached = [request.AttachStdin, request.AttachStdout, request.AttachStderr].contains(true)
            let run = ContainerRun(call: call, id: id, request: request)
            do {
                guard attached else {
                    try await run.start()
                    try call.program.print(id)
                    return 0
                }
                return try await run.attached(proxiesSignals: call[sigProxy], detachKeys: call.detachKeys(detachKeys))
            } catch let error as EngineClientError {
                throw ContainerRun.failure(error, call.program.name)
            }
        }
    }
}

/// A new container on its way to its end.
private struct ContainerRun: Sendable {
    let call: Invocation
    let id: String
    let request: ContainerCreateRequest

    private var engine: EngineClient { call.program.engine }

    func start() async throws {
        try await engine.send(EngineRequest(.post, "/containers/\(id)/start"))
    }

    func attached(proxiesSignals: Bool, detachKeys: String) async throws -> Int32 {
        let session = ContainerSession(
            program: call.program, id: id, hasTerminal: request.Tty == true, takesInput: request.AttachStdin == true,
            output: request.AttachStdout == true, errors: request.AttachStderr == true,
            proxiesSignals: proxiesSignals, detachKeys: detachKeys)
        let wait = ContainerWait(engine: engine, id: id)
        // Asked for before the start: the end of a short container would otherwise be missed.
        let condition = request.HostConfig?.AutoRemove == true ? "removed" : "next-exit"
        let ending = Task { try await wait.exitCode(condition: condition) }
        defer { ending.cancel() }
        let outcome = try await session.run(start: start) { try await ending.value }
        switch outcome {
        case .exited(let code): return code
        case .detached:
            try call.program.warn("read escape sequence")
            return 0
        }
    }

    /// The exit code tells scripts whether the program was missing or could not be run.
    static func failure(_ error: EngineClientError, _ program: String) -> CommandFailure {
        let message = error.message
        let code: Int32
        if ["executable file not found", "no such file or directory", "system cannot find the file specified"]
            .contains(where: { message.contains($0) })
        {
            code = 127
        } else if message.contains("permission denied") || message.contains("is a directory") {
            code = 126
        } else {
            code = 125
        }
        return CommandFailure("\(program): \(error)\n\nRun '\(program) run --help' for more information", code: code)
    }
}

/// Waits for the end of a container.
struct ContainerWait: Sendable {
    let engine: EngineClient
    let id: String

    func exitCode(condition: String) async throws -> Int32 {
        let query = condition.isEmpty ? [] : [("condition", condition)]
        let answer = try await engine.value(
            EngineRequest(.post, "/containers/\(EngineRequest.escaped(id))/wait", query: query))
        if let message = answer["Error"]?["Message"]?.string, !message.isEmpty { throw CommandFailure(message, code: 125) }
        guard let code = answer["StatusCode"]?.integer else { throw CommandFailure("the engine does not say how the container ended") }
        return Int32(truncatingIfNeeded: code)
    }
}
