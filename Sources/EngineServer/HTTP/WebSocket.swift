import Crypto
import Engine
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// A container's streams over a WebSocket (RFC 6455): messages both ways, nothing that tells output from errors.
///
/// ```
/// byte 0   1 FIN, 3 reserved, 4 opcode (1 text, 2 binary, 8 close, 9 ping, 10 pong)
/// byte 1   1 masked, 7 length; 126: two bytes of length follow, 127: eight
///          4 bytes mask, when masked, which a client always does
/// ```
struct WebSocket {
    enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10
    }

    struct Frame: Equatable {
        var opcode: Opcode
        var payload: ByteBuffer
    }

    static let largestPayload = 1 << 20

    /// The headers that accept the client's wish; refused when it is none.
    static func accept(_ headers: HTTPHeaders) throws -> [(String, String)] {
        guard headers[canonicalForm: "upgrade"].contains(where: { $0.lowercased() == "websocket" }),
            let key = headers.first(name: "sec-websocket-key"),
            headers.first(name: "sec-websocket-version") == "13"
        else { throw EngineError(.invalidArgument, "bad request: this path speaks WebSocket, version 13") }
        let hash = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", Data(hash).base64EncodedString())]
    }

    static func encode(_ payload: ByteBuffer, _ opcode: Opcode) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.writeInteger(0x80 | opcode.rawValue)
        switch payload.readableBytes {
        case ..<126: frame.writeInteger(UInt8(payload.readableBytes))
        case ...0xFFFF:
            frame.writeInteger(UInt8(126))
            frame.writeInteger(UInt16(payload.readableBytes))
        default:
            frame.writeInteger(UInt8(127))
            frame.writeInteger(UInt64(payload.readableBytes))
        }
        frame.writeImmutableBuffer(payload)
        return frame
    }

    /// Takes the next frame out of what has arrived; nil when more is needed.
    static func decode(_ bytes: inout ByteBuffer) throws -> Frame? {
        var rest = bytes
        guard let first = rest.readInteger(as: UInt8.self), let second = rest.readInteger(as: UInt8.self) else { return nil }
        guard let opcode = Opcode(rawValue: first & 0x0F), first & 0x70 == 0, second & 0x80 != 0 else { throw malformed }
        var length = Int(second & 0x7F)
        if length == 126 {
            guard let wide = rest.readInteger(as: UInt16.self) else { return nil }
            length = Int(wide)
        } else if length == 127 {
            guard let wide = rest.readInteger(as: UInt64.self) else { return nil }
            guard wide <= UInt64(largestPayload) else { throw malformed }
            length = Int(wide)
        }
        guard length <= largestPayload else { throw malformed }
        guard let mask = rest.readBytes(length: 4), let masked = rest.readBytes(length: length) else { return nil }
        bytes = rest
        return Frame(opcode: opcode, payload: ByteBuffer(bytes: masked.enumerated().map { $0.element ^ mask[$0.offset & 3] }))
    }

    private static let malformed = EngineError(.invalidArgument, "malformed WebSocket frame")
}

/// The raw connection behind the messages.
final class WebSocketStream: ClientStream, @unchecked Sendable {  // `received` is touched by the one task that reads.
    private let connection: RawConnection
    private let opcode: WebSocket.Opcode
    private let multiplexed: Bool
    private var received = ByteBuffer()

    /// `multiplexed`: what the container writes comes in frames that tell its streams apart, which are taken off.
    init(_ connection: RawConnection, binary: Bool, multiplexed: Bool) {
        self.connection = connection
        opcode = binary ? .binary : .text
        self.multiplexed = multiplexed
    }

    func read() async throws -> ByteBuffer? {
        while true {
            while let frame = try WebSocket.decode(&received) {
                switch frame.opcode {
                case .continuation, .text, .binary: return frame.payload
                case .ping: try await connection.write(WebSocket.encode(frame.payload, .pong))
                case .pong: continue
                case .close:
                    try await connection.write(WebSocket.encode(frame.payload, .close))
                    return nil
                }
            }
            guard let more = try await connection.read() else { return nil }
            received.writeImmutableBuffer(more)
            received.discardReadBytes()
        }
    }

    func write(_ bytes: ByteBuffer) async throws {
        var bytes = bytes
        // Each write of a container without a terminal is one frame.
        if multiplexed { bytes.moveReaderIndex(forwardBy: min(8, bytes.readableBytes)) }
        if bytes.readableBytes > 0 { try await connection.write(WebSocket.encode(bytes, opcode)) }
    }

    func close() async throws {
        try await connection.write(WebSocket.encode(ByteBuffer(integer: UInt16(1000)), .close))
    }
}
