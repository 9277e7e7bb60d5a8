import CLinux
import Glibc
import SystemPackage

/// The three descriptors that a program begins with.
public enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    public var isTerminal: Bool { TerminalMode.isTerminal(rawValue) }

    /// Writes everything; may sleep while the reader is slow.
    public func write(_ bytes: [UInt8]) throws(SystemError) {
        var start = 0
        while start < bytes.count {
            start += try check("write", "\(self)") {
                bytes.withUnsafeBytes { Glibc.write(rawValue, $0.baseAddress?.advanced(by: start), $0.count - start) }
            }
        }
    }

    public func write(_ text: String) throws(SystemError) {
        try write(Array(text.utf8))
    }
}

/// Reads a descriptor of any kind (terminal, pipe, file) without keeping a program from going on: the wait can be ended
/// from outside.
public final class StoppableReader: Sendable {
    private let descriptor: Int32
    private let stopReading: SharedFD
    private let stopWriting: SharedFD

    /// The descriptor has to stay open as long as the reader.
    public init(_ descriptor: Int32) throws(SystemError) {
        self.descriptor = descriptor
        (stopReading, stopWriting) = try makePipe()
    }

    /// The next bytes, at most `count`; nil at the end of the input or after `stop()`.
    public func next(_ count: Int = 32 << 10) async throws -> [UInt8]? {
        try await blocking { try self.read(count) }
    }

    /// Ends the present and every later call of `next`.
    public func stop() {
        // A full pipe means that the sign has been given already.
        _ = Glibc.write(stopWriting.raw, [0], 1)
    }

    private func read(_ count: Int) throws(SystemError) -> [UInt8]? {
        let ready = Int16(POLLIN | POLLHUP | POLLERR)
        var waiting = [
            pollfd(fd: stopReading.raw, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        try check("poll") { poll(&waiting, nfds_t(waiting.count), -1) }
        if waiting[0].revents & ready != 0 { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try check("read") { bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, count) } }
        guard got > 0 else { return nil }
        bytes.removeLast(count - got)
        return bytes
    }
}

/// A pipe: what is written to one end comes out of the other. Each end is closed when its last owner lets go.
public func makePipe() throws(SystemError) -> (reading: SharedFD, writing: SharedFD) {
    var ends: [Int32] = [-1, -1]
    try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
    return (SharedFD(OwnedFD(adopting: ends[0])), SharedFD(OwnedFD(adopting: ends[1])))
}
