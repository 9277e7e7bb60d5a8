import EngineClient
import Linux
import Synchronization

/// The shell that the engine offers where a step of a build has failed, on the user's terminal.
final class FailedStepShell: Sendable {
    private struct Present {
        let id: String
        let terminal: RawTerminal?
    }

    private let program: Program
    private let present = Mutex<Present?>(nil)

    /// Fails where nobody could type.
    init(program: Program) throws {
        guard StandardStream.input.isTerminal, StandardStream.output.isTerminal else {
            throw CommandFailure("--debug opens a shell: standard input and output have to be a terminal")
        }
        self.program = program
    }

    /// Takes the command's signals while it runs.
    func during<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        var signals = SignalForwarding(terminal: nil)
        signals.resize = { [self] size in await resize(size) }
        signals.forward = { [self] signal in act(on: signal) }
        return try await signals.during(program.signals, body)
    }

    func open(_ id: String) async throws {
        let size = RawTerminal.size() ?? WindowSize(rows: 24, columns: 80)
        let request = EngineRequest(.post, "/build/shells/\(id)/attach", query: Self.query(size))
        let streams = ContainerStreams(hasTerminal: true, takesInput: true, detachKeys: "")
        _ = try await program.engine.hijack(request) { response, writer in
            let terminal = try RawTerminal.enter()
            present.withLock { $0 = Present(id: id, terminal: terminal) }
            defer {
                present.withLock { $0 = nil }
                terminal?.restore()
            }
            return try await streams.copy(response, writer)
        }
    }

    private static func query(_ size: WindowSize) -> [(String, String)] { [("h", "\(size.rows)"), ("w", "\(size.columns)")] }

    private func resize(_ size: WindowSize) async {
        guard let id = present.withLock({ $0?.id }) else { return }
        // A wrong size is no reason to leave the shell.
        _ = try? await program.engine.send(EngineRequest(.post, "/build/shells/\(id)/resize", query: Self.query(size)))
    }

    private func act(on signal: Signal) {
        let terminal = present.withLock { $0?.terminal }
        if signal == Signal("CONT") {
            // After the client was stopped somebody else has changed the mode; a terminal that is gone needs none.
            try? terminal?.enterAgain()
        } else {
            terminal?.restore()
            CurrentProcess.exit(128 + signal.rawValue)
        }
    }
}
