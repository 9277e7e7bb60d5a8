import NIOCore
import NIOHTTP1

/// What goes out on one connection: a request, and after an upgrade bytes.
enum RequestPart: Sendable {
    case head(HTTPRequestHead)
    case bytes(ByteBuffer)
    case end
}

/// What comes in: the head of the answer, then its body or, on a hijacked connection, the stream.
enum ResponsePart: Sendable {
    case head(HTTPResponseHead)
    case bytes(ByteBuffer)
    case end
}

/// Translates between HTTP's parts and ours, and leaves the pipeline with the HTTP coders once the engine has switched
/// protocols.
///
///     request   head bytes… end │ bytes…            (after `end` only on a hijacked connection)
///     answer    head(101) end   │ bytes…            handlers replaced by `RawHandler`
///     answer    head(200) bytes… end                HTTP up to the end; a hijack without upgrade looks like this too
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private let coders: [any RemovableChannelHandler]
    private var switching = false

    /// `coders` in the order in which they have to go: the decoder last, since it then forwards what it holds.
    init(coders: [any RemovableChannelHandler]) {
        self.coders = coders
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            switching = head.status == .switchingProtocols
            context.fireChannelRead(Self.wrapInboundOut(.head(head)))
        case .body(let bytes):
            context.fireChannelRead(Self.wrapInboundOut(.bytes(bytes)))
        case .end:
            if switching { becomeRaw(context) } else { context.fireChannelRead(Self.wrapInboundOut(.end)) }
        }
    }

    private func becomeRaw(_ context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        do {
            try pipeline.addHandler(RawHandler(), position: .after(self))
        } catch {
            context.fireErrorCaught(error)
            return
        }
        for handler in [self as any RemovableChannelHandler] + coders {
            pipeline.removeHandler(handler, promise: nil)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPClientRequestPart =
            switch Self.unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .bytes(let bytes): .body(.byteBuffer(bytes))
            case .end: .end(nil)
            }
        context.write(Self.wrapOutboundOut(part), promise: promise)
    }
}

/// Passes bytes of a hijacked connection both ways.
final class RawHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ResponsePart
    typealias OutboundIn = RequestPart
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(Self.wrapInboundOut(.bytes(Self.unwrapInboundIn(data))))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .bytes(let bytes) = Self.unwrapOutboundIn(data) {
            context.write(Self.wrapOutboundOut(bytes), promise: promise)
        } else {
            promise?.succeed()
        }
    }
}
