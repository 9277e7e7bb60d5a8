import NIOCore
import NIOHTTP1

/// Sits between the socket and the HTTP codec and lets a request take over the raw connection.
///
/// ```
/// socket ─ HijackBytesHandler ─ HTTPRequestDecoder ─ HTTPResponseEncoder ─ HijackPartsHandler ─ application
///             └───────────────── raw bytes, once hijacked ─────────────────────┘
/// ```
/// Docker's clients send the raw stream right behind the head of `attach` and `exec start`, some without an `Upgrade`
/// header, so the decoder would take the first bytes of the stream for another request. `HijackBytesHandler` gives the
/// decoder exactly one request at a time for those paths, and for the WebSocket of `attach`, and keeps what follows.
/// After the hijack bytes travel as `.body` parts both ways and a half-closed input arrives as `.end`.
final class HijackState {
    /// What the `HijackBytesHandler` side does with what it reads.
    enum Mode {
        /// Reading the first line of a request.
        case head(ByteBuffer)
        /// An ordinary request: everything goes to the decoder.
        case passing
        /// A request that may take over the connection: this many bytes still belong to it, the rest waits.
        case measured(remaining: Int, rest: ByteBuffer)
        /// Raw bytes, both ways.
        case raw
    }

    var mode = Mode.head(ByteBuffer())
    /// Delivers raw bytes behind the HTTP codec; set by `HijackPartsHandler`.
    var deliver: ((ByteBuffer?) -> Void)?
    /// Writes raw bytes below the HTTP codec; set by `HijackBytesHandler`.
    var writeRaw: ((ByteBuffer, EventLoopPromise<Void>?) -> Void)?
    /// Takes up what waits when the connection changes its mode; set by `HijackBytesHandler`.
    var resume: (() -> Void)?
    var flushRaw: (() -> Void)?
}

/// The side next to the socket.
final class HijackBytesHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let state: HijackState
    /// A head that is larger than this cannot be one of the hijacking requests.
    private static let largestHead = 64 << 10

    init(_ state: HijackState) {
        self.state = state
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        state.writeRaw = { buffer, promise in
            bound.value.write(this.value.wrapOutboundOut(.byteBuffer(buffer)), promise: promise)
        }
        state.flushRaw = { bound.value.flush() }
        state.resume = { this.value.resume(context: bound.value) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        state.writeRaw = nil
        state.flushRaw = nil
        state.resume = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receive(unwrapInboundIn(data), context: context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        switch state.mode {
        case .raw: state.deliver?(nil)
        case .measured: inputClosedBeforeHijack = true
        // A plain HTTP client that closes its side has gone: whoever works for it may stop.
        case .head, .passing: context.close(promise: nil)
        }
    }

    private var inputClosedBeforeHijack = false

    private func receive(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        switch state.mode {
        case .raw:
            state.deliver?(buffer)
        case .passing:
            context.fireChannelRead(wrapInboundOut(buffer))
        case .measured(let remaining, var rest):
            var buffer = buffer
            let own = buffer.readSlice(length: min(remaining, buffer.readableBytes))
            rest.writeBuffer(&buffer)
            state.mode = .measured(remaining: remaining - (own?.readableBytes ?? 0), rest: rest)
            if let own, own.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(own)) }
        case .head(var seen):
            var buffer = buffer
            seen.writeBuffer(&buffer)
            classify(seen, context: context)
        }
    }

    /// Decides by the first line, and for a hijacking request by its whole head, how the bytes go on.
    private func classify(_ seen: ByteBuffer, context: ChannelHandlerContext) {
        let view = seen.readableBytesView
        guard let lineEnd = view.firstIndex(of: UInt8(ascii: "\n")) else {
            if seen.readableBytes > Self.largestHead { pass(seen, context: context) } else { state.mode = .head(seen) }
            return
        }
        let line = String(decoding: view[..<lineEnd], as: UTF8.self)
        guard Self.mayHijack(line) else { return pass(seen, context: context) }
        guard let head = Self.endOfHead(view) else {
            if seen.readableBytes > Self.largestHead { pass(seen, context: context) } else { state.mode = .head(seen) }
            return
        }
        guard let body = Self.contentLength(String(decoding: view[..<head], as: UTF8.self)) else {
            return pass(seen, context: context)
        }
        var rest = seen
        let total = (head - view.startIndex) + body
        state.mode = .measured(remaining: total, rest: ByteBuffer())
        if let own = rest.readSlice(length: min(total, rest.readableBytes)) {
            state.mode = .measured(remaining: total - own.readableBytes, rest: rest)
            context.fireChannelRead(wrapInboundOut(own))
        }
    }

    private func pass(_ buffer: ByteBuffer, context: ChannelHandlerContext) {
        state.mode = .passing
        context.fireChannelRead(wrapInboundOut(buffer))
    }

    /// Called when a response is complete (the next request begins) or when the connection has become raw.
    private func resume(context: ChannelHandlerContext) {
        switch state.mode {
        case .raw:
            if inputClosedBeforeHijack { state.deliver?(nil) }
        case .measured(_, let rest):
            state.mode = .head(ByteBuffer())
            if rest.readableBytes > 0 {
                receive(rest, context: context)
                context.fireChannelReadComplete()
            }
            if inputClosedBeforeHijack { context.close(promise: nil) }
        case .passing:
            state.mode = .head(ByteBuffer())
        case .head:
            break
        }
    }

    private static func mayHijack(_ line: String) -> Bool {
        if line.hasPrefix("GET ") { return line.dropFirst(4).prefix { $0 != " " && $0 != "?" }.hasSuffix("/attach/ws") }
        guard line.hasPrefix("POST ") else { return false }
        let path = line.dropFirst(5).prefix { $0 != " " && $0 != "?" }
        return path.hasSuffix("/attach") || (path.hasSuffix("/start") && path.contains("/exec/"))
    }

    private static func endOfHead(_ view: ByteBufferView) -> Int? {
        var index = view.startIndex
        while index + 3 < view.endIndex {
            if view[index] == 13, view[index + 1] == 10, view[index + 2] == 13, view[index + 3] == 10 { return index + 4 }
            index += 1
        }
        return nil
    }

    /// The length of the body, or nil where only the decoder can tell (chunked, malformed).
    private static func contentLength(_ head: String) -> Int? {
        var length = 0
        for line in head.split(whereSeparator: \.isNewline).dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            if name == "transfer-encoding" { return nil }
            if name == "content-length" {
                guard let parsed = Int(value), (0...(64 << 20)).contains(parsed) else { return nil }
                length = parsed
            }
        }
        return length
    }
}

/// The side next to the application.
final class HijackPartsHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: HijackState

    init(_ state: HijackState) {
        self.state = state
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        state.deliver = { buffer in
            let part = buffer.map { HTTPServerRequestPart.body($0) } ?? .end(nil)
            bound.value.fireChannelRead(this.value.wrapInboundOut(part))
            bound.value.fireChannelReadComplete()
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        state.deliver = nil
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part = unwrapOutboundIn(data)
        if case .raw = state.mode {
            if case .body(.byteBuffer(let buffer)) = part { state.writeRaw?(buffer, promise) } else { promise?.succeed() }
            return
        }
        context.write(data, promise: promise)
        if case .end = part { state.resume?() }
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is BecomeRaw else { return context.triggerUserOutboundEvent(event, promise: promise) }
        let rest: ByteBuffer
        if case .measured(_, let waiting) = state.mode { rest = waiting } else { rest = ByteBuffer() }
        state.mode = .raw
        promise?.succeed()
        if rest.readableBytes > 0 { state.deliver?(rest) }
        state.resume?()
    }
}

/// The application's word that from here on the connection is raw.
struct BecomeRaw: Sendable {}
