import Linux
import Synchronization

/// What a step has looked at in a tree that others may change meanwhile. From the first look to the last it has to be the same files
/// with the same times of change, which nobody can set back; what they hold when they are compared says little about the time between.
final class SeenFiles: Sendable {
    private struct State {
        /// By inode.
        var changes: [UInt64: FileMetadata.Time] = [:]
        var isComplete = false
        var hasChanged = false
    }

    private let device: UInt64
    private let state = Mutex(State())

    /// - Parameter device: the file system of the tree.
    init(device: UInt64) {
        self.device = device
    }

    /// Whether a file was changed, or another one seen, since the first look.
    var hasChanged: Bool { state.withLock { $0.hasChanged } }

    /// The first look is over.
    func complete() { state.withLock { $0.isComplete = true } }

    /// Takes note of a file before its content is read.
    func note(_ metadata: FileMetadata) throws(BuildError) {
        // What else is mounted there may have other notions of time.
        guard metadata.device == device else { throw .contextIsBorrowed }
        let isNew = state.withLock { state in
            if let known = state.changes[metadata.inode] {
                state.hasChanged = state.hasChanged || known != metadata.changed
                return false
            }
            state.hasChanged = state.hasChanged || state.isComplete
            state.changes[metadata.inode] = metadata.changed
            return true
        }
        if isNew { Self.waitForTick(after: metadata.changed) }
    }

    /// A change within the tick of the kernel's clock that the last one was made in would have the same time. Some file systems
    /// know whole seconds only.
    private static func waitForTick(after time: FileMetadata.Time) {
        let tick: Int64 = time.nanoseconds == 0 ? 1_000_000_000 : 10_000_000
        let changed = Timestamp(seconds: time.seconds, nanoseconds: time.nanoseconds).unixNanoseconds
        let age = Timestamp.now().unixNanoseconds.subtractingReportingOverflow(changed).partialValue
        // A time to come means that the clock was set back: it will not come by waiting.
        if 0..<tick ~= age { pauseThread(nanoseconds: tick - age) }
    }
}
