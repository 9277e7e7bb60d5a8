import DockerAPI
import Engine
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// What a route answers.
struct Response {
    enum Body {
        case none
        case bytes(ByteBuffer)
        /// Written piece by piece, chunked; errors after the head can only end the connection.
        case stream(@Sendable (ResponseWriter) async throws -> Void)
        /// Takes over the connection. `upgraded` is the head for a client that asked for an upgrade, the other for one that did not.
        case hijack(contentType: String, @Sendable (RawConnection) async throws -> Void)
        /// The same for a WebSocket, whose head has headers of its own.
        case webSocket([(String, String)], @Sendable (RawConnection) async throws -> Void)
    }

    var status: HTTPResponseStatus
    var headers = HTTPHeaders()
    var body: Body

    static func noContent() -> Response { Response(status: .noContent, body: .none) }

    static func status(_ status: HTTPResponseStatus) -> Response { Response(status: status, body: .none) }

    static func json(_ value: some Encodable, status: HTTPResponseStatus = .ok) throws -> Response {
        var buffer = ByteBuffer(bytes: try APIJSON.encode(value))
        buffer.writeStaticString("\n")
        return Response(status: status, headers: ["Content-Type": "application/json"], body: .bytes(buffer))
    }

    /// With each port of a run alone.
    static func jsonUnfolded(_ value: some Encodable) throws -> Response {
        var bytes = PortRanges.unfolded(json: Array(try APIJSON.encode(value)))
        bytes.append(UInt8(ascii: "\n"))
        return rawJSON(bytes)
    }

    /// Bytes that are JSON already.
    static func rawJSON(_ bytes: [UInt8]) -> Response {
        Response(status: .ok, headers: ["Content-Type": "application/json"], body: .bytes(ByteBuffer(bytes: bytes)))
    }

    static func text(_ text: String) -> Response {
        Response(status: .ok, headers: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(ByteBuffer(string: text)))
    }

    static func stream(_ contentType: String, _ body: @escaping @Sendable (ResponseWriter) async throws -> Void) -> Response {
        Response(status: .ok, headers: ["Content-Type": contentType], body: .stream(body))
    }
}

/// Writes the body of a streamed response. Each write returns once the kernel has taken the bytes, so a slow client slows
/// its handler and nothing piles up.
struct ResponseWriter: Sendable {
    let channel: any Channel

    func write(_ buffer: ByteBuffer) async throws {
        guard buffer.readableBytes > 0 else { return }
        try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(buffer))).get()
    }

    func write(_ bytes: [UInt8]) async throws {
        try await write(ByteBuffer(bytes: bytes))
    }

    /// One JSON value and a line feed.
    func writeLine(_ value: some Encodable) async throws {
        var buffer = ByteBuffer(bytes: try APIJSON.encode(value))
        buffer.writeStaticString("\r\n")
        try await write(buffer)
    }
}

/// A connection that a request has taken over.
struct RawConnection: Sendable {
    let channel: any Channel
    let input: RequestBody

    /// Returns once the kernel has taken the bytes.
    func write(_ buffer: ByteBuffer) async throws {
        guard buffer.readableBytes > 0 else { return }
        try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(buffer))).get()
    }
}
