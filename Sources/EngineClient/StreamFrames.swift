public import NIOCore

/// Takes apart the stream of a container without a terminal, in which output and errors travel in frames:
///
///     1 byte stream (0 stdin, 1 stdout, 2 stderr, 3 error of the engine) · 3 zero bytes · 4 bytes length, big-endian · payload
///
/// The payload of a long frame is handed on as it arrives.
public struct StreamFrames: Sendable {
    public enum Stream: UInt8, Sendable {
        case standardInput = 0
        case standardOutput = 1
        case standardError = 2
        case engineError = 3
    }

    public struct Piece: Sendable, Equatable {
        public let stream: Stream
        public let bytes: ByteBuffer
    }

    private var pending = ByteBuffer()
    private var stream = Stream.standardOutput
    private var rest = 0

    public init() {}

    public mutating func append(_ bytes: ByteBuffer) {
        if pending.readableBytes == 0 {
            pending = bytes
        } else {
            pending.writeImmutableBuffer(bytes)
        }
    }

    /// The next piece that is here, or nil when more bytes are needed.
    public mutating func next() throws -> Piece? {
        while rest == 0 {
            guard pending.readableBytes >= 8, let header = pending.readBytes(length: 8) else { return nil }
            guard let stream = Stream(rawValue: header[0]) else {
                throw EngineConnectionError(.other, "unrecognized input header: \(header[0])")
            }
            self.stream = stream
            rest = header[4...].reduce(0) { $0 << 8 | Int($1) }
        }
        guard pending.readableBytes > 0 else { return nil }
        let count = min(rest, pending.readableBytes)
        guard let bytes = pending.readSlice(length: count) else { return nil }
        rest -= count
        return Piece(stream: stream, bytes: bytes)
    }
}
