public import DockerAPI
import Synchronization

/// Progress between those who make it, from any thread and quickly, and the one client who is shown it: what matters is
/// kept in order, of mere numbers only the newest of each thing, ten times a second at most.
public final class ProgressBoard: Sendable {
    private struct State {
        var messages: [JSONMessage] = []
        var numbers: [String: JSONMessage] = [:]
        var lastTaken = ContinuousClock.now - .seconds(1)
        var end: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, Never>?
    }

    private static let pause = Duration.milliseconds(100)
    private let state = Mutex(State())

    init() {}

    /// Something that has to be told.
    func post(_ message: JSONMessage) {
        wake { state in
            if let id = message.id { state.numbers[id] = nil }
            state.messages.append(message)
            return true
        }
    }

    /// How far the thing with the message's id is.
    func update(_ message: JSONMessage) {
        wake { state in
            state.numbers[message.id ?? ""] = message
            return ContinuousClock.now - state.lastTaken >= Self.pause
        }
    }

    /// Nothing more will come.
    func finish(_ end: Result<Void, any Error>) {
        wake { state in
            state.end = state.end ?? end
            return true
        }
    }

    /// What there is to tell, at least one message; nil at the end, which may be an error.
    func next() async throws -> [JSONMessage]? {
        while true {
            let (batch, end) = take()
            if !batch.isEmpty { return batch }
            if let end {
                try end.get()
                return nil
            }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.messages.isEmpty, state.end == nil else { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }

    private func take() -> ([JSONMessage], Result<Void, any Error>?) {
        state.withLock { state in
            let batch = state.messages + state.numbers.values.sorted { ($0.id ?? "") < ($1.id ?? "") }
            state.messages = []
            state.numbers = [:]
            state.lastTaken = .now
            return (batch, state.end)
        }
    }

    private func wake(_ change: (inout State) -> Bool) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard change(&state), let waiter = state.waiter else { return nil }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }
}

/// A transfer under way, with what it tells. It ends when nobody holds this any more.
public final class Transfer: Sendable {
    private let board: ProgressBoard
    private let task: Task<Void, Never>
    /// Read before the answer was begun, so that an early failure is a failure of the request.
    private let first: [JSONMessage]

    /// Returns at the first sign of success.
    init(_ board: ProgressBoard, _ work: @escaping @Sendable () async throws -> Void) async throws {
        self.board = board
        let task = Task {
            do {
                try await work()
                board.finish(.success(()))
            } catch {
                board.finish(.failure(error))
            }
        }
        self.task = task
        do {
            first = try await withTaskCancellationHandler {
                try await board.next() ?? []
            } onCancel: {
                task.cancel()
            }
        } catch {
            task.cancel()
            throw error
        }
    }

    deinit { task.cancel() }

    /// Tells everything to its end.
    public func run(_ send: ContainerEngine.MessageSender) async throws {
        try await withTaskCancellationHandler {
            for message in first { try await send(message) }
            while let batch = try await board.next() {
                for message in batch { try await send(message) }
            }
        } onCancel: {
            task.cancel()
        }
    }
}
