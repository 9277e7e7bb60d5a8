import Blocking
import Linux
import Synchronization
import SystemPackage

/// A directory that several parts of a step hold open, for instance the root of a stage.
final class OpenDirectory: Sendable {
    let fd: OwnedFD

    init(_ fd: consuming OwnedFD) {
        self.fd = fd
    }

    /// What a path below it leads to; nil when there is nothing.
    func kind(of path: String) throws(SystemError) -> FileMetadata.Kind? {
        do {
            let place = try PathInRoot.open(path, root: fd, flags: [.path])
            return try fstat(place).kind
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return nil }
            throw error
        }
    }

    /// The content of a file below it; nil when there is none.
    func read(_ path: String, limit: Int) throws -> [UInt8]? {
        guard let kind = try kind(of: path) else { return nil }
        guard kind == .regular else { throw BuildError.invalid("\(path) is not a file") }
        let file = try PathInRoot.open(path, root: fd, flags: [.readOnly, .nonBlocking, .noControllingTerminal])
        guard try fstat(file).size <= Int64(limit) else {
            throw BuildError.invalid("\(path) is larger than \(limit) bytes")
        }
        return try file.readAll(limit: limit)
    }
}

/// Tells long work on plain threads that nobody waits for it any more.
public final class StopSign: Sendable {
    private let isSet = Atomic(false)

    public init() {}

    public func set() { isSet.store(true, ordering: .relaxed) }

    public func check() throws {
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
