import NIOCore

/// One message between the engine and a container's supervisor. The header is that of Docker's multiplexed streams, so
/// output frames go to a client as they are:
///
/// ```
/// | type | 0 | 0 | 0 | length, 4 bytes, big endian | payload |
/// ```
struct SupervisorFrame: Sendable, Equatable {
    /// docs/run.md has the table of the protocol.
    enum Kind: UInt8, Sendable {
        case stdin = 0x00
        case stdout = 0x01
        case stderr = 0x02
        case attach = 0x10
        case stdinEnd = 0x11
        case resize = 0x12
        case start = 0x13
        case signal = 0x14
        case subscribe = 0x15
        case created = 0x20
        case started = 0x21
        case failed = 0x22
        case exited = 0x23
        case attached = 0x24
        case done = 0x25
    }

    var kind: Kind
    var payload = ByteBuffer()

    static let headerLength = 8
    static let largestPayload = 1 << 20

    /// Header and payload.
    var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.headerLength + payload.readableBytes)
        buffer.writeInteger(kind.rawValue)
        buffer.writeRepeatingByte(0, count: 3)
        buffer.writeInteger(UInt32(payload.readableBytes))
        buffer.writeImmutableBuffer(payload)
        return buffer
    }
}

struct SupervisorFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = SupervisorFrame

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let length = buffer.getInteger(at: buffer.readerIndex + 4, as: UInt32.self) else { return .needMoreData }
        guard length <= SupervisorFrame.largestPayload,
            let kind = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self).flatMap(SupervisorFrame.Kind.init)
        else { throw EngineError(.internalError, "malformed frame from the supervisor") }
        guard buffer.readableBytes >= SupervisorFrame.headerLength + Int(length) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: SupervisorFrame.headerLength)
        let payload = buffer.readSlice(length: Int(length)) ?? ByteBuffer()
        context.fireChannelRead(wrapInboundOut(SupervisorFrame(kind: kind, payload: payload)))
        return .continue
    }
}
