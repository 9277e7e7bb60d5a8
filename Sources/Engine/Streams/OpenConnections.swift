import Synchronization

/// Counts the connections of a socket, of which there may be only so many.
public final class OpenConnections: Sendable {
    private let most: Int
    private let open = Mutex(0)

    public init(most: Int) {
        self.most = most
    }

    /// One more; false when there are enough.
    public func begin() -> Bool {
        open.withLock { open in
            guard open < most else { return false }
            open += 1
            return true
        }
    }

    /// One less.
    public func end() { open.withLock { $0 -= 1 } }
}
