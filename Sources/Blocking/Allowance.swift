import Synchronization

/// Counts things of which there may be only so many at a time: connections, work that nobody waits for. Whoever comes when there are
/// enough is told so; to wait in line there are `Slots`.
public final class Allowance: Sendable {
    private let most: Int
    private let count = Mutex(0)

    public init(_ most: Int) {
        self.most = most
    }

    /// One more; false when there are enough.
    public func begin() -> Bool {
        count.withLock { count in
            guard count < most else { return false }
            count += 1
            return true
        }
    }

    /// One less.
    public func end() { count.withLock { $0 -= 1 } }
}
