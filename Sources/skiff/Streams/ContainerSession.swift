import DockerAPI
import EngineClient
import Linux

/// One container as `run`, `start -a` and `attach` show it: its streams, its signals, the size of its terminal, and how
/// it ends.
struct ContainerSession: Sendable {
    let program: Program
    let id: String
    let hasTerminal: Bool
    let takesInput: Bool
    var output = true
    var errors = true
    let proxiesSignals: Bool
    let detachKeys: String
    /// Shows what the container has written before.
    var showsLog = false

    private var engine: EngineClient { program.engine }

    enum Outcome: Sendable {
        case exited(Int32)
        case detached
    }

    /// Attaches, calls `start` once the engine listens, and stays until the container's output ends. `end` then gives
    /// the exit code.
    func run(
        start: @escaping @Sendable () async throws -> Void, end: @escaping @Sendable () async throws -> Int32
    ) async throws -> Outcome {
        var query = [("stream", "1")]
        if takesInput { query.append(("stdin", "1")) }
        if output { query.append(("stdout", "1")) }
        if errors { query.append(("stderr", "1")) }
        if showsLog { query.append(("logs", "1")) }
        if !detachKeys.isEmpty { query.append(("detachKeys", detachKeys)) }
        let request = EngineRequest(.post, "/containers/\(EngineRequest.escaped(id))/attach", query: query)
        let streams = ContainerStreams(
            hasTerminal: hasTerminal, takesInput: takesInput, detachKeys: detachKeys, output: output, errors: errors)
        return try await engine.hijack(request) { response, writer in
            try await start()
            let terminal = hasTerminal && takesInput ? try RawTerminal.enter() : nil
            defer { terminal?.restore() }
            if hasTerminal, let size = RawTerminal.size() { await resize(size) }
            let ended = try await forwarding(terminal).during(program.signals) { try await streams.copy(response, writer) }
            terminal?.restore()
            if case .detached = ended, try await isRunning() { return .detached }
            return .exited(try await end())
        }
    }

    private func forwarding(_ terminal: RawTerminal?) -> SignalForwarding {
        var forwarding = SignalForwarding(terminal: terminal)
        if proxiesSignals, !hasTerminal { forwarding.forward = { signal in await kill(signal) } }
        if hasTerminal { forwarding.resize = { size in await resize(size) } }
        return forwarding
    }

    private func kill(_ signal: Signal) async {
        let name = "\(signal)".dropFirst("SIG".count)
        let request = EngineRequest(
            .post, "/containers/\(EngineRequest.escaped(id))/kill", query: [("signal", String(name))])
        // The container may have ended meanwhile, which its stream tells.
        _ = try? await engine.send(request)
    }

    private func resize(_ size: WindowSize) async {
        let request = EngineRequest(
            .post, "/containers/\(EngineRequest.escaped(id))/resize",
            query: [("h", "\(size.rows)"), ("w", "\(size.columns)")])
        // A wrong size is no reason to leave the container.
        _ = try? await engine.send(request)
    }

    private func isRunning() async throws -> Bool {
        do {
            let container = try await engine.get(
                ContainerInspectResponse.self, EngineRequest(.get, "/containers/\(EngineRequest.escaped(id))/json"))
            return container.State?.Running == true
        } catch let error as EngineClientError where error.status == 404 {
            return false
        }
    }
}
