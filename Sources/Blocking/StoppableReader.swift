import CLinux
import Glibc
public import Linux
import SystemPackage

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
