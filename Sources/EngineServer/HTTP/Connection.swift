import Blocking
import DockerAPI
import Engine
import Logging
import NIOCore
import NIOHTTP1
import Synchronization

/// Serves the requests of one connection, one after the other.
struct Connection: Sendable {
    let channel: NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    let router: Router
    let identity: ServerIdentity
    /// Where everybody may come who can open a connection, a page in somebody's browser can too.
    var refusesBrowsers = false
    /// Besides addresses, what a request may call this machine; nil: anything.
    var names: [String]?
    /// What may be asked for here; nil: everything.
    var access: APIAccess?
    /// Those of all connections with this scope.
    let slots: Slots
    let logger: Logger
    private let departure = Departure()

    func serve() async {
        channel.channel.closeFuture.whenComplete { [departure] _ in departure.happens() }
        do {
            try await channel.executeThenClose { inbound, _ in
                let parts = InboundParts(inbound)
                while let head = try await parts.nextHead() {
                    guard try await respond(to: head, parts) else { return }
                }
            }
        } catch {
            // The client went away or sent no HTTP: there is nobody left to tell.
            logger.debug("connection ended", metadata: ["error": "\(error)"])
        }
    }

    /// Answers one request. False when the connection cannot be used again.
    private func respond(to head: HTTPRequestHead, _ parts: InboundParts) async throws -> Bool {
        let response: Response
        do {
            let request = try makeRequest(head, parts)
            response = try await untilClientLeaves { try await handle(request) }
        } catch {
            response = try errorResponse(error, head)
        }
        return try await send(response, head, parts)
    }

    private func makeRequest(_ head: HTTPRequestHead, _ parts: InboundParts) throws -> Request {
        let pieces = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var path = String(pieces.first ?? "")
        var version = APIVersion.current
        if path.hasPrefix("/v"), let given = APIVersion(path.dropFirst(2).prefix { $0 != "/" }) {
            path = String(path.dropFirst(2).drop { $0 != "/" })
            version = given
        }
        if version < .minimum {
            throw EngineError(
                .invalidArgument,
                "client version \(version) is too old. Minimum supported API version is \(APIVersion.minimum), please upgrade your client to a newer version"
            )
        }
        if version > .current {
            throw EngineError(
                .invalidArgument,
                "client version \(version) is too new. Maximum supported API version is \(APIVersion.current)")
        }
        return Request(
            method: head.method, path: path, query: Query(pieces.count > 1 ? pieces[1] : ""), headers: head.headers,
            version: version, body: RequestBody(parts))
    }

    private func handle(_ request: Request) async throws -> Response {
        if refusesBrowsers, request.headers.contains(name: "origin") {
            throw EngineError(.forbidden, "requests of web pages are not answered on a connection without certificates")
        }
        if let names, let host = request.headers.first(name: "host").map(Self.hostName), !names.contains(host), !Self.isAddress(host) {
            throw EngineError(.forbidden, "this engine is not called \(host): use its address")
        }
        if request.method == .OPTIONS { return .status(.ok) }
        guard let route = router.find(request.method, request.path) else {
            throw EngineError(.notFound, "page not found")
        }
        var request = request
        request.parameters = route.parameters
        switch access {
        case nil: return try await route.handler(request)
        case .readOnly: return try await ReadOnlyScope.answer(request, route, slots)
        case .project(let socket): return try await ProjectScope.answer(request, route, socket, slots)
        }
    }

    private static func hostName(_ host: String) -> String {
        if host.hasPrefix("[") { return String(host.dropFirst().prefix { $0 != "]" }) }
        return String(host.prefix { $0 != ":" })
    }

    private static func isAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }

    /// Runs the work in a task that is cancelled when the connection closes.
    private func untilClientLeaves<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task(operation: work)
        departure.ends { task.cancel() }
        defer { departure.ends(nil) }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }

    private func errorResponse(_ error: any Error, _ head: HTTPRequestHead) throws -> Response {
        let failure = EngineError.wrapping(error)
        if failure.kind == .internalError {
            logger.error("request failed", metadata: ["request": "\(head.method) \(head.uri)", "error": "\(failure.message)"])
        }
        var body = ErrorResponse()
        body.message = failure.message
        return try .json(body, status: failure.kind.httpStatus)
    }

    private func send(_ response: Response, _ head: HTTPRequestHead, _ parts: InboundParts) async throws -> Bool {
        var headers = response.headers
        identity.add(to: &headers)
        switch response.body {
        case .none, .bytes:
            try await sendWhole(response, headers, head)
            return head.isKeepAlive
        case .stream(let write):
            headers.add(name: "Transfer-Encoding", value: "chunked")
            try await writePart(.head(HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)))
            let writer = ResponseWriter(channel: channel.channel)
            try await untilClientLeaves { try await write(writer) }
            try await writePart(.end(nil))
            return head.isKeepAlive
        case .hijack(let contentType, let work):
            let upgraded = head.headers.contains(name: "upgrade")
            var first = HTTPHeaders([("Content-Type", upgraded ? contentType : "application/vnd.docker.raw-stream")])
            if upgraded { first.add(contentsOf: [("Connection", "Upgrade"), ("Upgrade", "tcp")]) }
            first.add(contentsOf: headers)
            try await hijack(upgraded ? "101 UPGRADED" : "200 OK", first, parts, work)
            return false
        case .webSocket(let accepting, let work):
            try await hijack("101 Switching Protocols", HTTPHeaders(accepting + headers.map { ($0.name, $0.value) }), parts, work)
            return false
        }
    }

    private func sendWhole(_ response: Response, _ headers: HTTPHeaders, _ head: HTTPRequestHead) async throws {
        var headers = headers
        var buffer = ByteBuffer()
        if case .bytes(let bytes) = response.body { buffer = bytes }
        let hasBody = response.status != .noContent && response.status != .notModified
        if hasBody, !headers.contains(name: "Content-Length") {
            headers.add(name: "Content-Length", value: head.method == .HEAD ? "0" : String(buffer.readableBytes))
        }
        let channel = channel.channel
        channel.write(
            HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)),
            promise: nil)
        if hasBody, head.method != .HEAD, buffer.readableBytes > 0 {
            channel.write(HTTPServerResponsePart.body(.byteBuffer(buffer)), promise: nil)
        }
        try await writePart(.end(nil))
    }

    private func hijack(
        _ status: String, _ headers: HTTPHeaders, _ parts: InboundParts, _ work: @escaping @Sendable (RawConnection) async throws -> Void
    ) async throws {
        // The request's own body has been read; what follows is the stream.
        while try await parts.nextBodyPart() != nil {}
        let raw = RawConnection(channel: channel.channel, input: RequestBody(parts))
        try await channel.channel.triggerUserOutboundEvent(BecomeRaw()).get()
        parts.becomeRaw()
        var text = "HTTP/1.1 \(status)\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        try await raw.write(ByteBuffer(string: text + "\r\n"))
        try await untilClientLeaves { try await work(raw) }
    }

    private func writePart(_ part: HTTPServerResponsePart) async throws {
        try await channel.channel.writeAndFlush(part).get()
    }
}

/// What ends with the connection: the work for the request of the moment. A connection may bring any number of requests, and
/// nothing of those that are answered stays.
private final class Departure: Sendable {
    private let state = Mutex<(hasHappened: Bool, work: (@Sendable () -> Void)?)>((false, nil))

    func ends(_ work: (@Sendable () -> Void)?) {
        let isLate = state.withLock { state in
            state.work = work
            return state.hasHappened
        }
        if isLate { work?() }
    }

    func happens() {
        let work = state.withLock { state in
            state.hasHappened = true
            return state.work
        }
        work?()
    }
}

/// The headers that every reply carries.
struct ServerIdentity: Sendable {
    let version: String

    func add(to headers: inout HTTPHeaders) {
        headers.add(name: "Server", value: "Skiff/\(version) (linux)")
        headers.add(name: "Api-Version", value: APIVersion.current.description)
        headers.add(name: "Ostype", value: "linux")
        headers.add(name: "Docker-Experimental", value: "false")
    }
}

extension EngineError.Kind {
    /// The one map from what went wrong to HTTP.
    var httpStatus: HTTPResponseStatus {
        switch self {
        case .notFound: .notFound
        case .invalidArgument: .badRequest
        case .conflict: .conflict
        case .notModified: .notModified
        case .forbidden: .forbidden
        case .unauthorized: .unauthorized
        case .unavailable: .serviceUnavailable
        case .notImplemented: .notImplemented
        case .internalError: .internalServerError
        }
    }
}
