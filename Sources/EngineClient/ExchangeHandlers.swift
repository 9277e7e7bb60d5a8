import NIOCore
import NIOHTTP1

/// What goes out on one connection: a request, and on a hijacked connection bytes after it.
enum RequestPart: Sendable {
    case head(RequestHead)
    case bytes(ByteBuffer)
    case end
}

/// What comes in: the head of the answer, then its body or, on a hijacked connection, the stream.
enum ResponsePart: Sendable {
    case head(AnswerHead)
    case bytes(ByteBuffer)
    case end
}

/// Translates between HTTP's parts and ours.
final class ExchangeHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = HTTPClientRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part: ResponsePart =
            switch Self.unwrapInboundIn(data) {
            case .head(let head): .head(AnswerHead(status: Int(head.status.code), headers: head.headers.map { ($0.name, $0.value) }))
            case .body(let bytes): .bytes(bytes)
            case .end: .end
            }
        context.fireChannelRead(Self.wrapInboundOut(part))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPClientRequestPart =
            switch Self.unwrapOutboundIn(data) {
            case .head(let head):
                .head(
                    HTTPRequestHead(
                        version: .http1_1, method: HTTPMethod(rawValue: head.method.rawValue), uri: head.target,
                        headers: HTTPHeaders(head.headers)))
            case .bytes(let bytes): .body(.byteBuffer(bytes))
            case .end: .end(nil)
            }
        context.write(Self.wrapOutboundOut(part), promise: promise)
    }
}

/// Speaks just enough HTTP to hijack a connection: after the head of the answer everything is the stream, whether the
/// engine says 101 or 200.
///
///     request   head bytes… │ bytes…
///     answer    head        │ bytes… to the end of the connection
///
/// HTTP's own decoder would have to leave the pipeline in between, which takes it a turn of the event loop; a short
/// stream is over by then, and lost.
final class HijackHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = ByteBuffer

    private static let longestHead = 64 << 10
    /// What has come of the head; nil when the head is over.
    private var head: ByteBuffer? = ByteBuffer()
    /// How much of an error's body is missing, when the engine has said so.
    private var bodyLeft: Int?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        if var partial = head {
            partial.writeBuffer(&bytes)
            guard let end = Self.endOfHead(partial) else {
                if partial.readableBytes > Self.longestHead { fail(context, "the answer of the engine has no end of its head") }
                head = partial
                return
            }
            guard let text = partial.readString(length: end), let parsed = AnswerHead(text) else {
                return fail(context, "the answer of the engine is not HTTP")
            }
            head = nil
            if parsed.status >= 300 { bodyLeft = parsed.first("content-length").flatMap { Int($0) } }
            context.fireChannelRead(Self.wrapInboundOut(.head(parsed)))
            bytes = partial
        }
        if bytes.readableBytes > 0 { context.fireChannelRead(Self.wrapInboundOut(.bytes(bytes))) }
        guard let left = bodyLeft else { return }
        bodyLeft = left - bytes.readableBytes
        if left <= bytes.readableBytes { context.fireChannelRead(Self.wrapInboundOut(.end)) }
    }

    private func fail(_ context: ChannelHandlerContext, _ text: String) {
        context.fireErrorCaught(EngineConnectionError(.other, text))
        context.close(promise: nil)
    }

    private static func endOfHead(_ bytes: ByteBuffer) -> Int? {
        let view = bytes.readableBytesView
        let mark = Array("\r\n\r\n".utf8)
        return view.firstRange(of: mark).map { $0.upperBound - view.startIndex }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch Self.unwrapOutboundIn(data) {
        case .head(let head): context.write(Self.wrapOutboundOut(ByteBuffer(bytes: head.bytes)), promise: promise)
        case .bytes(let bytes): context.write(Self.wrapOutboundOut(bytes), promise: promise)
        case .end: promise?.succeed()
        }
    }
}
