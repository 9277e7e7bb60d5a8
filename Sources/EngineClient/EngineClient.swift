import DockerAPI
import FoundationEssentials
public import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Speaks the Engine API over one connection per request.
public final class EngineClient: Sendable {
    /// The API version whose shapes `DockerAPI` has.
    public static let apiVersion = "1.50"

    public let address: EngineAddress
    private let group: any EventLoopGroup
    private let version: Mutex<String>
    private let versionIsFixed: Bool
    private let startEngine: (@Sendable () async throws -> Void)?
    private let settings: EngineConnectionSettings

    /// `fixedVersion` turns off falling back to the version of an older engine. `startEngine` is called once when nobody
    /// listens at the address; the request is then sent again.
    public init(
        address: EngineAddress, group: any EventLoopGroup, settings: EngineConnectionSettings = EngineConnectionSettings(),
        fixedVersion: String? = nil,
        startEngine: (@Sendable () async throws -> Void)? = nil
    ) {
        self.address = address
        self.group = group
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
        return .bytes(Array(try encoder.encode(value)), type: "application/json")
    }

    // MARK: The exchange

    private func exchange<Result: Sendable>(
        _ request: EngineRequest, upgrade: Bool,
        _ body: (EngineResponse, EngineStreamWriter) async throws -> Result
    ) async throws -> Result {
        let connection = try await connectOrStart(hijacks: upgrade)
        let sent = usedVersion
        do {
            return try await connection.executeThenClose { inbound, outbound in
                let writer = EngineStreamWriter(outbound: outbound, channel: connection.channel)
                let (head, parts) = try await roundTrip(request, sent, upgrade, inbound, outbound)
                let response = EngineResponse(head, parts)
                guard head.status.code < 400 else { throw try await Self.error(response) }
                return try await body(response, writer)
            }
        } catch let error where EngineTLS.reason(of: error) != nil {
            throw connectionError(error)
        } catch let error as EngineClientError {
            guard request.body.canBeSentAgain, let older = olderVersion(error, than: sent) else { throw error }
            version.withLock { $0 = older }
            return try await exchange(request, upgrade: upgrade, body)
        }
    }

    private typealias Parts = NIOAsyncChannelInboundStream<ResponsePart>

    /// Sends the request and waits for the head of the answer, which may come before all of the request is sent: an
    /// engine that refuses it need not read the rest, and what cannot be sent then does not matter.
    private func roundTrip(
        _ request: EngineRequest, _ version: String, _ upgrade: Bool, _ inbound: Parts,
        _ outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    ) async throws -> (HTTPResponseHead, Parts.AsyncIterator) {
        let head = head(request, version, upgrade)
        async let sending: Void = Self.send(head, request.body, outbound)
        let answer: (HTTPResponseHead, Parts.AsyncIterator)
        do {
            answer = try await Self.firstHead(inbound)
        } catch {
            try await sending
            throw error
        }
        if answer.0.status.code < 400 { try await sending }
        return answer
    }

    private static func send(
        _ head: HTTPRequestHead, _ body: EngineRequest.Body, _ outbound: NIOAsyncChannelOutboundWriter<RequestPart>
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

    private static func firstHead(_ inbound: Parts) async throws -> (HTTPResponseHead, Parts.AsyncIterator) {
        var iterator = inbound.makeAsyncIterator()
        while let part = try await iterator.next() {
            if case .head(let head) = part { return (head, iterator) }
        }
        throw EngineConnectionError(.other, "the engine closed the connection without an answer")
    }

    private func head(_ request: EngineRequest, _ version: String, _ upgrade: Bool) -> HTTPRequestHead {
        var headers = HTTPHeaders([("Host", "skiff"), ("User-Agent", "skiff")])
        if upgrade {
            headers.add(name: "Connection", value: "Upgrade")
            headers.add(name: "Upgrade", value: "tcp")
        } else {
            headers.add(name: "Connection", value: "close")
        }
        for (name, value) in settings.headers { headers.replaceOrAdd(name: name, value: value) }
        for (name, value) in request.headers { headers.add(name: name, value: value) }
        switch request.body {
        case .none:
            if request.method == .post || request.method == .put { headers.add(name: "Content-Length", value: "0") }
        case .bytes(let bytes, let type):
            headers.add(name: "Content-Type", value: type)
            headers.add(name: "Content-Length", value: String(bytes.count))
        case .stream(let type, _):
            headers.add(name: "Content-Type", value: type)
            headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        return HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method.rawValue),
            uri: request.target(version: version), headers: headers)
    }

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

    private func connectOrStart(hijacks: Bool) async throws -> Connection {
        do {
            return try await connect(hijacks: hijacks)
        } catch let error as EngineConnectionError where error.reason == .notRunning {
            guard let startEngine else { throw error }
            try await startEngine()
            return try await connectSoon(hijacks: hijacks, tries: 30)
        }
    }

    /// Another client may be starting the same engine, which then is not ready when our attempt has given way to it.
    private func connectSoon(hijacks: Bool, tries: Int) async throws -> Connection {
        for _ in 1..<tries {
            do {
                return try await connect(hijacks: hijacks)
            } catch let error as EngineConnectionError where error.reason == .notRunning {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        return try await connect(hijacks: hijacks)
    }

    private func connect(hijacks: Bool) async throws -> Connection {
        let bootstrap = ClientBootstrap(group: group).channelOption(.autoRead, value: true)
        let (address, tls) = (address, settings.tls)
        let setUp: @Sendable (any Channel) -> EventLoopFuture<Connection> = { channel in
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
            case .unix(let path): return try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: setUp)
            case .tcp(let host, let port): return try await bootstrap.connect(host: host, port: port, channelInitializer: setUp)
            case .ssh: throw EngineConnectionError(.other, "unable to reach docker host `\(address)`")
            }
        } catch {
            throw connectionError(error)
        }
    }

    /// Bytes both ways, nothing of HTTP: for whoever passes another client's requests on.
    public func withRawConnection<Result: Sendable>(
        _ body: (NIOAsyncChannelInboundStream<ByteBuffer>, NIOAsyncChannelOutboundWriter<ByteBuffer>, any Channel) async throws -> Result
    ) async throws -> Result {
        let bootstrap = ClientBootstrap(group: group).channelOption(.allowRemoteHalfClosure, value: true)
        let setUp: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: false))
            }
        }
        guard case .unix(let path) = address else {
            throw EngineConnectionError(.other, "only a unix socket can be passed on, not \(address)")
        }
        let connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        do {
            connection = try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: setUp)
        } catch {
            throw connectionError(error)
        }
        return try await connection.executeThenClose { try await body($0, $1, connection.channel) }
    }

    private static func configure(_ channel: any Channel, hijacks: Bool) throws -> Connection {
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
        let code = (error as? IOError)?.errnoCode
        switch code {
        case 2, 111:  // ENOENT, ECONNREFUSED
            return EngineConnectionError(
                .notRunning, "Cannot connect to the Docker daemon at \(address). Is the docker daemon running?")
        case 13:  // EACCES
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
