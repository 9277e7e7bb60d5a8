import Blocking
import Linux
import NIOCore
import NIOPosix
import SystemPackage

/// A socket for one command of a build that leads to the client's SSH agent: the command never sees the agent's own
/// socket, and the relay ends with the command.
struct AgentRelay: Sendable {
    private let server: any NIOCore.Channel
    /// The socket as a detached mount.
    let mount: SharedFD

    /// A socket by way of its directory's descriptor: addresses of sockets are short, paths need not be.
    private struct Place: Sendable {
        let directory: SharedFD
        let name: String

        init(_ path: FilePath) throws {
            directory = SharedFD(try OwnedFD.open(path.removingLastComponent(), [.path, .directory]))
            name = path.lastComponent?.string ?? ""
        }

        var address: String { "/proc/self/fd/\(directory.raw)/\(name)" }
    }

    /// Each takes two of the engine's descriptors.
    private static let mostConnections = 64

    /// - Parameter path: where the socket is made; nobody but root comes there
    static func open(
        to agent: FilePath, at path: FilePath, mode: UInt32, uid: UInt32, gid: UInt32, group: any EventLoopGroup
    ) async throws -> AgentRelay {
        let (place, there) = try await blocking { (try Place(path), try Place(agent)) }
        let connections = Allowance(mostConnections)
        let server = try await ServerBootstrap(group: group)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { client in
                guard connections.begin() else {
                    let refusal = EngineError(.unavailable, "too many connections to an SSH agent")
                    return client.eventLoop.makeFailedFuture(refusal)
                }
                client.closeFuture.whenComplete { _ in connections.end() }
                return connect(client, to: there)
            }
            .bind(unixDomainSocketPath: place.address).get()
        do {
            let mount = try await blocking {
                let name = try FileName(place.name)
                try place.directory.withOwned { directory in
                    try fchownat(directory, name, uid: uid, gid: gid)
                    try fchmodat(directory, name, mode: mode)
                }
                return SharedFD(try Mount.clone(of: path, recursive: false))
            }
            return AgentRelay(server: server, mount: mount)
        } catch {
            try await server.close()
            throw error
        }
    }

    func close() async throws {
        try await server.close()
    }

    private static func connect(_ client: any NIOCore.Channel, to agent: Place) -> EventLoopFuture<Void> {
        ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(unixDomainSocketPath: agent.address)
            .flatMap { other in
                client.eventLoop.makeCompletedFuture {
                    try client.pipeline.syncOperations.addHandler(RelayHandler(other: other))
                    try other.pipeline.syncOperations.addHandler(RelayHandler(other: client))
                    other.read()
                }
            }
            .flatMapError { error in client.close().flatMapThrowing { throw error } }
    }
}

/// Passes on what comes in, one piece after the other: the next is read when the last was written.
private final class RelayHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any NIOCore.Channel

    init(other: any NIOCore.Channel) { self.other = other }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = context.channel
        other.writeAndFlush(unwrapInboundIn(data)).whenComplete { result in
            switch result {
            case .success: channel.read()
            // Whoever does not take it any more is gone.
            case .failure: channel.close(promise: nil)
            }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { other.close(mode: .output, promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
