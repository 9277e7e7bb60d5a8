import OCI
import Synchronization

/// Work that several ask for at the same time and that is done once, a layer's transfer: who comes later joins and hears of
/// the progress, and it is stopped when nobody waits for it any more.
actor SharedWork<Key: Hashable & Sendable, Step: Sendable> {
    typealias Listener = @Sendable (Step) -> Void

    private final class Running: Sendable {
        struct State {
            var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
            var listeners: [Int: Listener] = [:]
            var last: Step?
        }
        let state = Mutex(State())

        func tell(_ step: Step) {
            let listeners = state.withLock { state in
                state.last = step
                return Array(state.listeners.values)
            }
            for listener in listeners { listener(step) }
        }
    }

    private var running: [Key: (work: Running, task: Task<Void, Never>)] = [:]
    private var nextNumber = 0

    /// Does the work, or waits for the one who does it. When his work fails it is done anew, with what we have.
    func run(_ key: Key, listener: @escaping Listener, _ body: @escaping @Sendable (@escaping Listener) async throws -> Void) async throws {
        while true {
            let joins = running[key] != nil
            let work = running[key]?.work ?? start(key, body)
            nextNumber += 1
            do {
                return try await wait(for: work, key, nextNumber, listener)
            } catch  where joins && !Task.isCancelled {
                continue
            }
        }
    }

    private func start(_ key: Key, _ body: @escaping @Sendable (@escaping Listener) async throws -> Void) -> Running {
        let work = Running()
        let task = Task {
            let result: Result<Void, any Error>
            do {
                try await body { work.tell($0) }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            self.finish(key, work, result)
        }
        running[key] = (work, task)
        return work
    }

    private func finish(_ key: Key, _ work: Running, _ result: Result<Void, any Error>) {
        if running[key]?.work === work { running[key] = nil }
        let waiters = work.state.withLock { state in
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(with: result) }
    }

    private func wait(for work: Running, _ key: Key, _ number: Int, _ listener: @escaping Listener) async throws {
        let last = work.state.withLock { state in
            state.listeners[number] = listener
            return state.last
        }
        if let last { listener(last) }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                work.state.withLock { $0.waiters[number] = waiter }
                if Task.isCancelled { leave(work, key, number) }
            }
        } onCancel: {
            Task { await self.leave(work, key, number) }
        }
    }

    private func leave(_ work: Running, _ key: Key, _ number: Int) {
        let (waiter, isLast) = work.state.withLock { state in
            state.listeners[number] = nil
            let waiter = state.waiters.removeValue(forKey: number)
            return (waiter, waiter != nil && state.waiters.isEmpty)
        }
        if isLast, let entry = running[key], entry.work === work {
            // Whoever comes now begins anew: what is being stopped cannot be joined.
            running[key] = nil
            entry.task.cancel()
        }
        waiter?.resume(throwing: CancellationError())
    }
}
