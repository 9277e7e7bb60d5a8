import Blocking
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

    /// Serves the sockets that containers have, as they come and go, until the task is cancelled.
    public func serve(_ listeners: AsyncStream<ScopedListener>) async {
        await withDiscardingTaskGroup { tasks in
            for await listener in listeners { tasks.addTask { await serve(listener) } }
        }
    }

    private func serve(_ listener: ScopedListener) async {
        do {
            let place = ListenerPlace.socket(try listener.descriptor())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await serve(place, access: listener.access) {} }
                group.addTask { for await _ in listener.ended {} }
                try await group.next()
                group.cancelAll()
            }
        } catch is CancellationError {
            // The container or the engine ends.
        } catch {
            logger.warning("a container's socket of the API is not served", metadata: ["error": "\(error)"])
        }
    }

    /// Of one container: each takes a descriptor of the engine's.
    private static let mostScopedConnections = 64

    /// Serves a place until the task is cancelled. `ready` is called once it listens. With a scope only what that allows is
    /// answered, on a limited number of connections.
    public func serve(_ place: ListenerPlace, access: APIAccess? = nil, ready: @Sendable () -> Void) async throws {
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
        let slots = Slots(ReadOnlyScope.mostAtOnce)
        ready()
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { tasks in
                let open = Allowance(access == nil ? .max : Self.mostScopedConnections)
                for try await connection in connections {
                    guard open.begin() else {
                        // It is refused; what closing it says is nobody's business.
                        tasks.addTask { try? await connection.executeThenClose { _, _ in } }
                        continue
                    }
                    tasks.addTask {
                        await Connection(
                            channel: connection, router: router, identity: identity, refusesBrowsers: isOpen, names: names, access: access,
                            slots: slots, logger: logger
                        ).serve()
                        open.end()
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
