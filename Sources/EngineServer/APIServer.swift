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

    /// Serves a listening socket until the task is cancelled. The descriptor is taken over.
    public func serve(listener: Int32, ready: @Sendable () -> Void) async throws {
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .bind(listener) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.configure(channel) }
            }
        ready()
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { tasks in
                for try await connection in connections {
                    tasks.addTask {
                        await Connection(channel: connection, router: router, identity: identity, logger: logger).serve()
                    }
                }
            }
        }
    }

    private static func configure(_ channel: any Channel) throws
        -> NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>
    {
        let state = HijackState()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HijackBytesHandler(state))
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)))
        try pipeline.addHandler(HijackPartsHandler(state))
        return try NIOAsyncChannel(
            wrappingChannelSynchronously: channel)
    }
}
