public import Engine
public import Logging
import NIOCore
import NIOHTTP1
public import NIOPosix

/// The Engine API on sockets.
public struct APIServer: Sendable {
    private let router: Router
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let identity: ServerIdentity

    public init(engine: ContainerEngine, group: MultiThreadedEventLoopGroup, logger: Logger) {
        var router = Router()
        SystemRoutes(engine: engine).add(to: &router)
        ContainerRoutes(engine: engine).add(to: &router)
        ExecRoutes(engine: engine).add(to: &router)
        ImageRoutes(engine: engine).add(to: &router)
        BuildRoutes(engine: engine).add(to: &router)
        VolumeRoutes(engine: engine).add(to: &router)
        NetworkRoutes(engine: engine).add(to: &router)
        self.router = router
        self.group = group
        self.logger = logger
        identity = ServerIdentity(version: ContainerEngine.programVersion)
    }

    /// Serves a place until the task is cancelled. `ready` is called once it listens.
    public func serve(_ place: ListenerPlace, ready: @Sendable () -> Void) async throws {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
        let server: NIOAsyncChannel<Accepted, Never>
        switch place {
        case .socket(let descriptor):
            server = try await bootstrap.bind(descriptor) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, nil) }
            }
        case .internet(let host, let port, let tls):
            server = try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1).bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel, tls) }
            }
        }
        let (isOpen, names) = (place.isOpenToEverybody, place.names)
        ready()
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { tasks in
                for try await connection in connections {
                    tasks.addTask {
                        await Connection(
                            channel: connection, router: router, identity: identity, refusesBrowsers: isOpen, names: names, logger: logger
                        ).serve()
                    }
                }
            }
        }
    }

    private typealias Accepted = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private static func configure(_ channel: any Channel, _ tls: ServerTLS?) throws
        -> NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    {
        let state = HijackState()
        let pipeline = channel.pipeline.syncOperations
        if let tls { try pipeline.addHandler(tls.handler()) }
        try pipeline.addHandler(HijackBytesHandler(state))
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)))
        try pipeline.addHandler(HijackPartsHandler(state))
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel)
    }
}
