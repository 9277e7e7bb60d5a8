import Linux
import Synchronization

/// A directory that several parts of a step hold open, for instance the root of a stage.
final class OpenDirectory: Sendable {
    let fd: OwnedFD

    init(_ fd: consuming OwnedFD) {
        self.fd = fd
    }
}

/// Tells long work on plain threads that nobody waits for it any more.
final class StopSign: Sendable {
    private let isSet = Atomic(false)

    func set() { isSet.store(true, ordering: .relaxed) }

    func check() throws {
        if isSet.load(ordering: .relaxed) { throw CancellationError() }
    }
}

/// Runs long file work away from the concurrency pool; a cancelled task stops it at its next look at the sign.
func stoppable<T: Sendable>(_ body: @escaping @Sendable (StopSign) throws -> T) async throws -> T {
    let sign = StopSign()
    return try await withTaskCancellationHandler {
        try await blocking { try body(sign) }
    } onCancel: {
        sign.set()
    }
}
