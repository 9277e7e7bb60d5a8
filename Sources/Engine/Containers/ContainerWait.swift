/// What `docker wait` waits for.
public enum WaitCondition: String, Sendable {
    case notRunning = "not-running"
    case nextExit = "next-exit"
    case removed
}

public struct WaitResult: Sendable {
    public let exitCode: Int32
}

extension Container {
    func wait(_ condition: WaitCondition) async throws -> WaitResult {
        if condition == .notRunning, !phase.isLive, !isRestarting { return waitResult }
        if condition == .removed, case .removed = phase { return waitResult }
        let number = nextWaiter
        nextWaiter += 1
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiters[number] = Waiter(condition: condition, continuation: continuation)
                }
            }
        } onCancel: {
            Task { await self.stopWaiting(number) }
        }
    }

    private func stopWaiting(_ number: Int) {
        waiters.removeValue(forKey: number)?.continuation.resume(throwing: CancellationError())
    }

    func resumeWaiters(for conditions: Set<WaitCondition>) {
        for (number, waiter) in waiters where conditions.contains(waiter.condition) {
            waiters[number] = nil
            waiter.continuation.resume(returning: waitResult)
        }
    }

    private var waitResult: WaitResult {
        WaitResult(exitCode: record.state.exitCode)
    }

    /// The same for one process, which may have ended before.
    func waitForEnd(of process: RunningContainer, seconds: Int) async throws -> Bool {
        guard phase.process?.pid == process.pid else { return true }
        return try await waitForEnd(seconds: seconds, .nextExit)
    }

    /// Waits for the end of the process, at most `seconds`; negative means without limit. False when time ran out.
    func waitForEnd(seconds: Int, _ condition: WaitCondition = .notRunning) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                _ = try await self.wait(condition)
                return true
            }
            if seconds >= 0 {
                group.addTask {
                    try await Task.sleep(for: .seconds(min(seconds, 1 << 31)))
                    return false
                }
            }
            let ended = try await group.next() ?? false
            group.cancelAll()
            return ended
        }
    }
}
