/// Lets a number of tasks work at a time; others wait in line, or leave it when they are cancelled.
public actor Slots {
    private var free: Int
    private var waiting: [(number: Int, continuation: CheckedContinuation<Void, any Error>)] = []
    private var nextNumber = 0

    public init(_ count: Int) { free = count }

    /// Does the work in its turn, which lasts until the work has ended, whether or not somebody still wants the result.
    /// `CancellationError` when the task is cancelled before its turn has come.
    public nonisolated func take<T: Sendable>(_ work: () async throws -> T) async throws -> T {
        try await begin()
        do {
            let result = try await work()
            await end()
            return result
        } catch {
            await end()
            throw error
        }
    }

    private func begin() async throws {
        try Task.checkCancellation()
        if free > 0 {
            free -= 1
            return
        }
        nextNumber += 1
        let number = nextNumber
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiting.append((number, continuation))
                }
            }
        } onCancel: {
            Task { await self.leave(number) }
        }
    }

    private func leave(_ number: Int) {
        guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
        waiting.remove(at: index).continuation.resume(throwing: CancellationError())
    }

    private func end() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().continuation.resume() }
    }
}
