import Linux
import NIOCore
import NIOPosix
import SystemPackage

/// One connection to the supervisor of a container or exec session. Frames are read when somebody asks for one, so a
/// slow client slows the container and nothing piles up here. One reader at a time; any number of writers.
final class SupervisorConnection: Sendable {
    private let channel: any NIOCore.Channel
    private let inbox: NIOLoopBound<FrameInbox>

    private init(channel: any NIOCore.Channel, inbox: NIOLoopBound<FrameInbox>) {
        self.channel = channel
        self.inbox = inbox
    }

    /// A connection that nobody holds any more would keep the container's output waiting.
    deinit { channel.close(promise: nil) }

    /// Connects to the supervisor that works in this directory.
    ///
    /// The directory's name may be longer than `sun_path` allows, so the socket is reached through a descriptor.
    static func connect(to directory: FilePath, group: any EventLoopGroup) async throws -> SupervisorConnection {
        let place = try SharedFD(OwnedFD.open(directory, [.path, .directory]))
        let path = "/proc/self/fd/\(place.raw)/supervisor.sock"
        let connection = try await make(group) { try await $0.connect(unixDomainSocketPath: path).get() }
        withExtendedLifetime(place) {}
        return connection
    }

    /// Takes over a connected socket.
    static func adopt(_ socket: consuming OwnedFD, group: any EventLoopGroup) async throws -> SupervisorConnection {
        let raw = socket.release()
        return try await make(group) { try await $0.withConnectedSocket(raw).get() }
    }

    private static func make(
        _ group: any EventLoopGroup, _ connect: (ClientBootstrap) async throws -> any NIOCore.Channel
    ) async throws -> SupervisorConnection {
        let bootstrap = ClientBootstrap(group: group)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(ByteToMessageHandler(SupervisorFrameDecoder()))
                    try operations.addHandler(FrameInbox())
                }
            }
        let channel = try await connect(bootstrap)
        let inbox = try await channel.eventLoop.submit {
            NIOLoopBound(try channel.pipeline.syncOperations.handler(type: FrameInbox.self), eventLoop: channel.eventLoop)
        }.get()
        return SupervisorConnection(channel: channel, inbox: inbox)
    }

    /// Returns once the kernel has taken the frame.
    func send(_ kind: SupervisorFrame.Kind, _ payload: ByteBuffer = ByteBuffer()) async throws {
        try await channel.writeAndFlush(SupervisorFrame(kind: kind, payload: payload).encoded).get()
    }

    /// The next frame, or nil when the supervisor has ended the connection.
    func next() async throws -> SupervisorFrame? {
        let (inbox, channel) = (inbox, channel)
        return try await channel.eventLoop.flatSubmit { inbox.value.next(on: channel.eventLoop) }.get()
    }

    /// What a supervisor that was there before says of its process.
    enum PresentState: Sendable {
        case running
        /// nil: it never came to its program, or nobody saw its end.
        case ended(ExitRecord?)
    }

    /// Subscribes, and waits until the supervisor knows whether the process runs. One that says nothing for seconds is
    /// stopped or starved; its process counts as running.
    func presentState() async throws -> PresentState {
        try await send(.subscribe)
        let (inbox, channel) = (inbox, channel)
        let timer = channel.eventLoop.scheduleTask(in: .seconds(5)) { inbox.value.stopWaiting() }
        defer { timer.cancel() }
        do {
            guard let frame = try await next() else { return .ended(nil) }
            switch frame.kind {
            case .started: return .running
            case .exited: return .ended(try ExitRecord(frame))
            default: return .ended(nil)
            }
        } catch is FrameInbox.Silence {
            return .running
        }
    }

    func close() {
        channel.close(promise: nil)
    }
}

/// Keeps what one read brought until it is asked for.
private final class FrameInbox: ChannelInboundHandler {
    typealias InboundIn = SupervisorFrame

    /// Nothing came in time.
    struct Silence: Error {}

    private var frames: CircularBuffer<SupervisorFrame> = []
    private var waiting: EventLoopPromise<SupervisorFrame?>?
    private var ended = false
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        if let waiting {
            self.waiting = nil
            waiting.succeed(frame)
        } else {
            frames.append(frame)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if waiting != nil { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        waiting?.fail(error)
        waiting = nil
        context.close(promise: nil)
    }

    /// What has arrived is given out also after the end of the connection.
    func next(on eventLoop: any EventLoop) -> EventLoopFuture<SupervisorFrame?> {
        if let frame = frames.popFirst() { return eventLoop.makeSucceededFuture(frame) }
        guard let context, !ended else { return eventLoop.makeSucceededFuture(nil) }
        let promise = eventLoop.makePromise(of: SupervisorFrame?.self)
        waiting?.succeed(nil)
        waiting = promise
        context.read()
        return promise.futureResult
    }

    func stopWaiting() {
        waiting?.fail(Silence())
        waiting = nil
    }

    private func end() {
        ended = true
        waiting?.succeed(nil)
        waiting = nil
    }
}
