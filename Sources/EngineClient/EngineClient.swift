import Blocking
import DockerAPI
import FoundationEssentials
public import Linux
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import SystemPackage

/// Speaks the Engine API over one connection per request.
///
/// A unix socket, the usual case, is spoken to without an event loop (`SocketConnection`); everything else goes by one.
public final class EngineClient: Sendable {
    /// The API version whose shapes `DockerAPI` has.
    public static let apiVersion = "1.50"

    public let address: EngineAddress

    /// Whether the engine seems to be on the client's machine: a socket may still lead elsewhere.
    public var isOnThisMachine: Bool {
        if case .unix = address { return settings.dial == nil }
        return false
    }

    /// Made, with its thread, when the first connection needs it.
    private let eventLoops = Mutex<MultiThreadedEventLoopGroup?>(nil)
    private let version: Mutex<String>
    private let versionIsFixed: Bool
    private let startEngine: (@Sendable () async throws -> Void)?
    private let settings: EngineConnectionSettings

    /// `fixedVersion` turns off falling back to the version of an older engine. `startEngine` is called once when nobody
    /// listens at the address; the request is then sent again.
    public init(
        address: EngineAddress, settings: EngineConnectionSettings = EngineConnectionSettings(),
        fixedVersion: String? = nil,
        startEngine: (@Sendable () async throws -> Void)? = nil
    ) {
        self.address = address
        version = Mutex(fixedVersion ?? Self.apiVersion)
        versionIsFixed = fixedVersion != nil
        self.startEngine = startEngine
        self.settings = settings
    }

    /// The version in use: ours, or an older one once an engine has asked for it.
    public var usedVersion: String { version.withLock { $0 } }

    // MARK: Ordinary requests

    /// Sends a request and gives the whole body of the answer.
    @discardableResult
    public func send(_ request: EngineRequest) async throws -> [UInt8] {
        try await open(request) { try await $0.collect() }
    }

    /// Sends a request and decodes the answer.
    public func get<Answer: Decodable & Sendable>(_ type: Answer.Type, _ request: EngineRequest) async throws -> Answer {
        try JSONDecoder().decode(type, from: Data(try await send(request)))
    }

    /// Sends a request and hands the open answer to `body`. An answer that is an error is thrown as
    /// `EngineClientError` instead.
    public func open<Result: Sendable>(
        _ request: EngineRequest, _ body: (EngineResponse) async throws -> Result
    ) async throws -> Result {
        try await exchange(request, upgrade: false) { response, _ in try await body(response) }
    }

    /// Sends a request that turns the connection into a stream in both directions (attach, exec).
    public func hijack<Result: Sendable>(
        _ request: EngineRequest, _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        try await exchange(request, upgrade: true, body)
    }

    /// A JSON body.
    public static func json(_ value: some Encodable) throws -> EngineRequest.Body {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return .bytes(PortRanges.unfolded(json: Array(try encoder.encode(value))), type: "application/json")
    }

    // MARK: The exchange

    private func exchange<Result: Sendable>(
        _ request: EngineRequest, upgrade: Bool,
        _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        let sent = usedVersion
        let head = try RequestHead(request, version: sent, hijacks: upgrade, extra: settings.headers)
        do {
            if case .unix(let path) = address, settings.dial == nil {
                return try await exchange(head, request.body, upgrade, path: path, body)
            }
            return try await exchangeByEventLoop(head, request.body, upgrade, body)
        } catch let error as EngineClientError {
            guard request.body.canBeSentAgain, let older = olderVersion(error, than: sent) else { throw error }
            version.withLock { $0 = older }
            return try await exchange(request, upgrade: upgrade, body)
        }
    }

    private static func answered<Result: Sendable>(
        _ response: EngineResponse, _ writer: EngineStreamWriter,
        _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        guard response.status < 400 else { throw try await error(response) }
        return try await body(response, writer)
    }

    // MARK: Over a unix socket

    private func exchange<Result: Sendable>(
        _ head: RequestHead, _ requestBody: EngineRequest.Body, _ upgrade: Bool, path: String,
        _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        let connection = try await startingEngine {
            do {
                return try await blocking { try SocketConnection(path: path) }
            } catch {
                throw connectionError(error)
            }
        }
        defer { connection.close() }
        let answer = SocketAnswer(connection)
        let answerHead = try await Self.roundTrip(head, requestBody, upgrade, connection, answer)
        let response = EngineResponse(answerHead, .socket(answer))
        return try await Self.answered(response, EngineStreamWriter(way: .socket(connection)), body)
    }

    private static func roundTrip(
        _ head: RequestHead, _ body: EngineRequest.Body, _ upgrade: Bool, _ connection: SocketConnection, _ answer: SocketAnswer
    ) async throws -> AnswerHead {
        let hasBody = head.method != .head
        guard case .stream(_, let next) = body else {
            var bytes = head.bytes
            if case .bytes(let more, _) = body { bytes += more }
            return try await connection.reading { [bytes] in
                do {
                    try connection.sendWaiting(bytes)
                } catch let error as SystemError where error.errno == .brokenPipe || error.errno == .connectionReset {
                    // An engine that refuses a request need not read all of it.
                }
                return try answer.headWaiting(hasBody: hasBody, hijacks: upgrade)
            }
        }
        return try await whileSending {
            try await connection.send(head.bytes)
            while let bytes = try await next() {
                try Task.checkCancellation()
                guard bytes.readableBytes > 0 else { continue }  // An empty chunk would be the last one.
                let size = String(bytes.readableBytes, radix: 16)
                try await connection.send(Array("\(size)\r\n".utf8) + Array(bytes.readableBytesView) + [13, 10])
            }
            try await connection.send(Array("0\r\n\r\n".utf8))
        } head: {
            try await answer.head(hasBody: hasBody, hijacks: upgrade)
        }
    }

    /// Waits for the head of the answer, which may come before all of the request is sent: an engine that refuses it
    /// need not read the rest, and what cannot be sent then does not matter.
    private static func whileSending(
        _ send: @escaping @Sendable () async throws -> Void, head: () async throws -> AnswerHead
    ) async throws -> AnswerHead {
        async let sending: Void = send()
        let answer: AnswerHead
        do {
            answer = try await head()
        } catch {
            try await sending
            throw error
        }
        if answer.status < 400 { try await sending }
        return answer
    }

    // MARK: By an event loop

    private func exchangeByEventLoop<Result: Sendable>(
        _ head: RequestHead, _ requestBody: EngineRequest.Body, _ upgrade: Bool,
        _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        let connection = try await startingEngine { try await connect(hijacks: upgrade) }
        do {
            return try await connection.executeThenClose { inbound, outbound in
                let writer = EngineStreamWriter(way: .eventLoop(outbound, connection.channel))
                var parts = inbound.makeAsyncIterator()
                let answerHead = try await Self.whileSending {
                    try await Self.send(head, requestBody, outbound)
                } head: {
                    try await Self.firstHead(&parts)
                }
                return try await Self.answered(EngineResponse(answerHead, .eventLoop(parts)), writer, body)
            }
        } catch let error where EngineTLS.reason(of: error) != nil {
            throw connectionError(error)
        }
    }

    private static func send(
        _ head: RequestHead, _ body: EngineRequest.Body, _ outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    ) async throws {
        switch body {
        // In one piece: the engine may have answered and closed the connection before a second one is written.
        case .none: try await outbound.write(contentsOf: [.head(head), .end])
        case .bytes(let bytes, _):
            try await outbound.write(contentsOf: [.head(head), .bytes(ByteBuffer(bytes: bytes)), .end])
        case .stream(_, let next):
            try await outbound.write(.head(head))
            while let bytes = try await next() {
                try Task.checkCancellation()
                try await outbound.write(.bytes(bytes))
            }
            try await outbound.write(.end)
        }
    }

    private static func firstHead(_ parts: inout NIOAsyncChannelInboundStream<ResponsePart>.AsyncIterator) async throws -> AnswerHead {
        while let part = try await parts.next() {
            if case .head(let head) = part { return head }
        }
        throw EngineConnectionError(.other, "the engine closed the connection without an answer")
    }

    // MARK: Errors

    private static func error(_ response: EngineResponse) async throws -> EngineClientError {
        let body = try await response.collect(limit: 1 << 20)
        // An answer that is not JSON, for instance from something else at that address, is shown as it is.
        let decoded = try? JSONDecoder().decode(ErrorResponse.self, from: Data(body))
        let text = decoded?.message ?? String(decoding: body, as: UTF8.self)
        return EngineClientError(status: response.status, message: text.isEmpty ? "status \(response.status)" : text)
    }

    /// The version that an older engine names when it refuses ours.
    private func olderVersion(_ error: EngineClientError, than sent: String) -> String? {
        let sign = "Maximum supported API version is "
        guard !versionIsFixed, error.status == 400, let range = error.message.firstRange(of: sign) else { return nil }
        let older = String(error.message[range.upperBound...].prefix { $0.isNumber || $0 == "." })
        return older.isEmpty || older == sent ? nil : older
    }

    // MARK: Connecting

    private typealias Connection = NIOAsyncChannel<ResponsePart, RequestPart>

    /// Connects, and starts the engine where that is ours to do and nobody listens.
    private func startingEngine<T>(_ connect: () async throws -> T) async throws -> T {
        do {
            return try await connect()
        } catch let error as EngineConnectionError where error.reason == .notRunning {
            guard let startEngine else { throw error }
            try await startEngine()
            // Another client may be starting the same engine, which then is not ready when our attempt has given way to it.
            for _ in 1..<30 {
                do {
                    return try await connect()
                } catch let error as EngineConnectionError where error.reason == .notRunning {
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            return try await connect()
        }
    }

    private func eventLoopGroup() -> MultiThreadedEventLoopGroup {
        eventLoops.withLock { group in
            let made = group ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
            group = made
            return made
        }
    }

    private func connect(hijacks: Bool) async throws -> Connection {
        let bootstrap = ClientBootstrap(group: eventLoopGroup()).channelOption(.autoRead, value: true)
        let (address, tls) = (address, settings.tls)
        let setUp: @Sendable (any NIOCore.Channel) -> EventLoopFuture<Connection> = { channel in
            channel.eventLoop.makeCompletedFuture {
                if let tls { try tls.secure(channel, address) }
                return try Self.configure(channel, hijacks: hijacks)
            }
        }
        do {
            if let dial = settings.dial {
                return try await bootstrap.withConnectedSocket(try await dial(), channelInitializer: setUp)
            }
            switch address {
            case .tcp(let host, let port): return try await bootstrap.connect(host: host, port: port, channelInitializer: setUp)
            case .unix, .ssh: throw EngineConnectionError(.other, "unable to reach docker host `\(address)`")
            }
        } catch {
            throw connectionError(error)
        }
    }

    /// A connection that is nothing but bytes: for whoever passes another client's requests on. Unix sockets only.
    public func connectRaw() throws -> SharedFD {
        guard case .unix(let path) = address else {
            throw EngineConnectionError(.other, "only a unix socket can be passed on, not \(address)")
        }
        do {
            return SharedFD(try connectUnix(FilePath(path)))
        } catch {
            throw connectionError(error)
        }
    }

    private static func configure(_ channel: any NIOCore.Channel, hijacks: Bool) throws -> Connection {
        let pipeline = channel.pipeline.syncOperations
        if hijacks {
            try pipeline.addHandler(HijackHandler())
        } else {
            var framing = HTTPRequestEncoder.Configuration()
            framing.automaticallySetFramingHeaders = false
            try pipeline.addHandler(HTTPRequestEncoder(configuration: framing))
            try pipeline.addHandler(ByteToMessageHandler(HTTPResponseDecoder()))
            try pipeline.addHandler(ExchangeHandler())
        }
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel,
            configuration: .init(isOutboundHalfClosureEnabled: false))
    }

    private func connectionError(_ error: any Error) -> EngineConnectionError {
        if let error = error as? EngineConnectionError { return error }
        if let reason = EngineTLS.reason(of: error) { return EngineConnectionError(.other, "error during connect: \(reason)") }
        let errno = (error as? SystemError)?.errno ?? (error as? IOError).map { Errno(rawValue: $0.errnoCode) }
        switch errno {
        case .noSuchFileOrDirectory, .connectionRefused:
            return EngineConnectionError(
                .notRunning, "Cannot connect to the Docker daemon at \(address). Is the docker daemon running?")
        case .permissionDenied:
            return EngineConnectionError(
                .permissionDenied, "permission denied while trying to connect to the Docker daemon socket at \(address)")
        default:
            if error is NIOConnectionError {
                return EngineConnectionError(
                    .notRunning, "Cannot connect to the Docker daemon at \(address). Is the docker daemon running?")
            }
            return EngineConnectionError(.other, "error during connect to \(address): \(error)")
        }
    }
}
