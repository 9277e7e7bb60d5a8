import Blocking
import Linux
import SystemPackage

/// A connection to a unix socket whose calls wait on threads that are made for waiting (`blocking`), not on an event
/// loop: most commands send one request or two, and an event loop would be most of their time.
///
/// One task may read while another one writes.
final class SocketConnection: Sendable {
    private static let mostAtOnce = 64 << 10
    private let socket: SharedFD

    init(path: String) throws(SystemError) {
        socket = SharedFD(try connectUnix(FilePath(path)))
    }

    /// Ends the connection; whoever waits for it goes on.
    func close() {
        // Fails when the other side has been faster.
        socket.withOwned { try? $0.shutdownBoth() }
    }

    /// Runs `body` where it may wait. When the task is cancelled the connection ends, and with it the wait.
    func reading<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withTaskCancellationHandler {
            let result = try await blocking(body)
            try Task.checkCancellation()
            return result
        } onCancel: {
            close()
        }
    }

    /// Sends all of it. When the task is cancelled nothing more is sent; the answer may still come.
    func send(_ bytes: [UInt8]) async throws {
        try await withTaskCancellationHandler {
            try await blocking { try self.sendWaiting(bytes) }
        } onCancel: {
            finishSending()
        }
    }

    /// Tells the other side that nothing more will come.
    func finishSending() {
        // Fails when the other side has gone, which reading tells.
        socket.withOwned { try? $0.shutdownSending() }
    }

    /// The same on the calling thread.
    func sendWaiting(_ bytes: [UInt8]) throws(SystemError) {
        try socket.withOwned { descriptor throws(SystemError) in try descriptor.sendAll(bytes) }
    }

    /// What has come, on the calling thread; empty at the end. An engine that goes before it has read everything of ours
    /// resets the connection, which is an end like any other.
    func receiveWaiting() throws(SystemError) -> [UInt8] {
        try socket.withOwned { descriptor throws(SystemError) in
            var failure: SystemError?
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.mostAtOnce) { buffer, count in
                do throws(SystemError) {
                    count = try descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
                } catch {
                    failure = error
                }
            }
            if let failure, failure.errno != .connectionReset { throw failure }
            return bytes
        }
    }
}
