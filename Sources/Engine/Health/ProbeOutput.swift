import NIOCore
import Synchronization

/// Stands where a client would be, and keeps the first bytes of what a probe prints.
final class ProbeOutput: ClientStream {
    private let kept = Mutex(ByteBuffer())
    private static let limit = 4096

    /// A probe has no input.
    func read() async throws -> ByteBuffer? { nil }

    func write(_ bytes: ByteBuffer) async throws {
        var bytes = bytes
        // Each write is one frame, see AttachSession.
        bytes.moveReaderIndex(forwardBy: min(SupervisorFrame.headerLength, bytes.readableBytes))
        kept.withLock { kept in
            guard let part = bytes.readSlice(length: min(bytes.readableBytes, Self.limit - kept.readableBytes)) else { return }
            kept.writeImmutableBuffer(part)
        }
    }

    var text: String { kept.withLock { String(buffer: $0) } }
}
