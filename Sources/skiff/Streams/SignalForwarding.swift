import Blocking
import Linux

/// What happens to signals that the client gets while it shows a container.
struct SignalForwarding: Sendable {
    /// Sends a signal to the container; nil when signals are not for it.
    var forward: (@Sendable (Signal) async -> Void)?
    /// Tells the container the size of the terminal; nil without one.
    var resize: (@Sendable (WindowSize) async -> Void)?
    let terminal: RawTerminal?

    /// Runs `body` and handles signals meanwhile.
    func during<Result: Sendable>(_ queue: SignalQueue?, _ body: () async throws -> Result) async throws -> Result {
        guard let queue else { return try await body() }
        let handling = Task { try await handle(queue) }
        defer { handling.cancel() }
        do {
            let result = try await body()
            queue.stop()
            _ = try await handling.value
            return result
        } catch {
            queue.stop()
            throw error
        }
    }

    private func handle(_ queue: SignalQueue) async throws {
        while let signal = try await queue.next() { try await act(on: signal) }
    }

    // Not inlined: the optimiser of Swift 6.3 cannot split the coroutine that would result.
    @inline(never)
    private func act(on signal: Signal) async throws {
        if signal == ProxiedSignals.windowChange {
            await sendSize()
        } else if signal == Signal("CONT"), let terminal {
            try terminal.enterAgain()
        } else if let forward {
            await forward(signal)
        } else if signal != Signal("CONT") {
            endProgram(by: signal)
        }
    }

    private func sendSize() async {
        if let resize, let size = RawTerminal.size() { await resize(size) }
    }

    @inline(never)
    private func endProgram(by signal: Signal) {
        terminal?.restore()
        CurrentProcess.exit(128 + signal.rawValue)
    }
}
