import Blocking
import Linux

/// Runs blocking work in the network namespace that counts as the host's.
struct Host: Sendable {
    let namespace: SharedFD?

    /// On a plain thread; sockets opened within belong to the host's namespace.
    func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        guard namespace != nil else { return try await blocking(body) }
        return try await onOwnThread(body)
    }

    /// The same on a thread of its own, which the body may move to another namespace.
    func onOwnThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await onThrowawayThread {
            if let namespace { try NetworkNamespace.enter(namespace.raw) }
            return try body()
        }
    }
}
