import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

@testable import Registry

/// A web server for one test: each request is answered by a closure, and remembered.
final class TestServer: Sendable {
    struct Request: Sendable {
        var method: HTTPMethod
        var uri: String
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    struct Reply: Sendable {
        var status: Int
        var headers: HTTPHeaders = [:]
        var body = ""

        /// The connection stays open and nothing comes.
        static let silence = Reply(status: 0)
    }

    private let channel: any Channel
    private let seen = Mutex<[Request]>([])

    /// Counts from 0.
    typealias Answer = @Sendable (_ number: Int, Request) -> Reply

    private init(_ channel: any Channel) { self.channel = channel }

    var port: Int { channel.localAddress?.port ?? 0 }
    var requests: [Request] { seen.withLock { $0 } }

    private final class Handover: Sendable { let server = Mutex<TestServer?>(nil) }

    /// Runs the body with a server that is there, and a client for `127.0.0.1:<port>`.
    @discardableResult
    static func with<T: Sendable>(
        _ answer: @escaping Answer, configure: (inout RegistryConfiguration, Int) -> Void = { _, _ in },
        _ body: (TestServer, Registries) async throws -> T
    ) async throws -> T {
        let handover = Handover()
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.configureHTTPServerPipeline()
                    try child.pipeline.syncOperations.addHandler(
                        Handler { request in
                            guard let server = handover.server.withLock({ $0 }) else { return Reply(status: 503) }
                            let number = server.seen.withLock { seen in
                                seen.append(request)
                                return seen.count - 1
                            }
                            return answer(number, request)
                        })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = TestServer(channel)
        handover.server.withLock { $0 = server }
        var configuration = RegistryConfiguration()
        configuration.firstDelay = .milliseconds(1)
        configuration.longestDelay = .milliseconds(20)
        configuration.certificateDirectories = []
        configure(&configuration, server.port)
        let registries = Registries(configuration, group: group)
        do {
            let result = try await body(server, registries)
            try await registries.shutdown()
            try await channel.close()
            return result
        } catch {
            try await registries.shutdown()
            try await channel.close()
            throw error
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let answer: @Sendable (Request) -> Reply
        private var request: Request?

        init(_ answer: @escaping @Sendable (Request) -> Reply) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): request = Request(method: head.method, uri: head.uri, headers: head.headers, body: [])
            case .body(let buffer): request?.body += Array(buffer.readableBytesView)
            case .end:
                guard let request else { return }
                let reply = answer(request)
                if reply.status == 0 { return }
                var headers = reply.headers
                if !headers.contains(name: "Content-Length") { headers.add(name: "Content-Length", value: "\(reply.body.utf8.count)") }
                let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: reply.status), headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: reply.body)))), promise: nil) }
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }
    }
}
