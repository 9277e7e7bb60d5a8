import Linux
import Synchronization
import SystemPackage

/// A pipe between two tasks. Each takes its end along, so that the end is closed when that task is over, however it
/// ended, and the other one sees it.
final class PipeEnds: Sendable {
    private let reading: Mutex<SharedFD?>
    private let writing: Mutex<SharedFD?>

    init() throws {
        let (reading, writing) = try makePipe()
        self.reading = Mutex(reading)
        self.writing = Mutex(writing)
    }

    func takeReading() throws -> SharedFD { try Self.take(reading) }
    func takeWriting() throws -> SharedFD { try Self.take(writing) }

    private static func take(_ end: borrowing Mutex<SharedFD?>) throws -> SharedFD {
        let taken = end.withLock { kept in
            defer { kept = nil }
            return kept
        }
        guard let taken else { throw SystemError(errno: .badFileDescriptor, call: "take a pipe's end") }
        return taken
    }
}
