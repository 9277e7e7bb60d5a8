import DockerAPI
import EngineClient
import Linux
import OCI

extension Command {
    static func exec() -> Command {
        let detach = Flag<Bool>.toggle("detach", short: "d", "Run in the background")
        let detachKeys = Flag<String>.text("detach-keys", "Keys that leave the process running")
        let privileged = Flag<Bool>.toggle("privileged", "Give the process all rights")
        return Command(
            name: "exec", usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
            summary: "Run a command in a running container", arguments: .atLeast(2),
            flags: [
                detach, detachKeys, privileged, ContainerFlags.env, ContainerFlags.envFile, ContainerFlags.interactive,
                ContainerFlags.tty, ContainerFlags.user, ContainerFlags.workdir,
            ], stopsAtFirstArgument: true, takesSignals: true
        ) { call in
            let hasTerminal = call[ContainerFlags.tty]
            let takesInput = call[ContainerFlags.interactive] && !call[detach]
            var config = ExecConfig()
            config.Cmd = StrSlice(Array(call.arguments.dropFirst()))
            config.Tty = hasTerminal
            config.AttachStdin = takesInput
            config.AttachStdout = !call[detach]
            config.AttachStderr = !call[detach]
            if call[privileged] { config.Privileged = true }
            if !call[ContainerFlags.user].isEmpty { config.User = call[ContainerFlags.user] }
            if !call[ContainerFlags.workdir].isEmpty { config.WorkingDir = call[ContainerFlags.workdir] }
            let keys = call.detachKeys(detachKeys)
            if !keys.isEmpty { config.DetachKeys = keys }
            let files = try call[ContainerFlags.envFile].flatMap { try EnvironmentList.lines(inFile: $0) }
            let environment = EnvironmentList.resolve(
                files + call[ContainerFlags.env], environment: call.program.environment)
            if !environment.isEmpty { config.Env = environment }
            if hasTerminal, let size = RawTerminal.size() { config.ConsoleSize = [Int(size.rows), Int(size.columns)] }
            let session = ExecSession(program: call.program, config: config, detachKeys: keys)
            return try await session.run(in: call.arguments[0], isDetached: call[detach])
        }
    }
}

/// One process beside the first one of a container.
private struct ExecSession: Sendable {
    let program: Program
    let config: ExecConfig
    let detachKeys: String

    private var engine: EngineClient { program.engine }

    func run(in container: String, isDetached: Bool) async throws -> Int32 {
        let takesInput = config.AttachStdin == true
        let hasTerminal = config.Tty == true
        if takesInput, hasTerminal, !StandardStream.input.isTerminal { throw CommandFailure("the input device is not a TTY") }
        let made = try await engine.value(
            EngineRequest(.post, "/containers/\(EngineRequest.escaped(container))/exec", body: try EngineClient.json(config)))
        guard let id = made["Id"]?.string else { throw CommandFailure("the engine does not say which process it is") }
        var start = ExecStartConfig()
        start.Detach = isDetached
        start.Tty = hasTerminal
        start.ConsoleSize = config.ConsoleSize
        let request = EngineRequest(.post, "/exec/\(id)/start", body: try EngineClient.json(start))
        if isDetached {
            try await engine.send(request)
            return 0
        }
        let streams = ContainerStreams(hasTerminal: hasTerminal, takesInput: takesInput, detachKeys: detachKeys)
        let end = try await engine.hijack(request) { response, writer in
            let terminal = hasTerminal && takesInput ? try RawTerminal.enter() : nil
            defer { terminal?.restore() }
            if hasTerminal, let size = RawTerminal.size() { await resize(id, size) }
            var signals = SignalForwarding(terminal: terminal)
            if hasTerminal { signals.resize = { size in await resize(id, size) } }
            return try await signals.during(program.signals) { try await streams.copy(response, writer) }
        }
        if case .detached = end {
            try program.warn("read escape sequence")
            return 0
        }
        return try await exitCode(id)
    }

    private func exitCode(_ id: String) async throws -> Int32 {
        let answer = try await engine.value(EngineRequest(.get, "/exec/\(id)/json"))
        switch answer["ExitCode"] {
        case .int(let code): return Int32(truncatingIfNeeded: code)
        case .null: return 0  // It has closed its output and goes on.
        default: throw CommandFailure("the engine does not say how the process ended")
        }
    }

    private func resize(_ id: String, _ size: WindowSize) async {
        let request = EngineRequest(
            .post, "/exec/\(id)/resize", query: [("h", "\(size.rows)"), ("w", "\(size.columns)")])
        // A wrong size is no reason to leave the process.
        _ = try? await engine.send(request)
    }
}
