import Synchronization

/// Work of which only so much is done at a time; the rest waits, the first to come first. A turn lasts until its work has ended,
/// whether or not somebody still wants the result.
final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(most: Int) {
        state = Mutex(State(free: most))
    }

    /// Throws without having run the work when the task was cancelled before its turn came.
    func run<T: Sendable>(_ work: @Sendable () async throws -> T) async throws -> T {
        await begin()
        defer { end() }
        try Task.checkCancellation()
        return try await work()
    }

    private func begin() async {
        await withCheckedContinuation { continuation in
            let mayBegin = state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if mayBegin { continuation.resume() }
        }
    }

    /// The turn goes to whoever waits.
    private func end() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
