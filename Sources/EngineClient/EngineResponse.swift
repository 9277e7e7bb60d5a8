public import NIOCore
import Synchronization

/// The answer to a request while its connection is open: status, headers, and the body as it arrives.
///
/// On a hijacked connection the body is the stream of the container.
public final class EngineResponse {
    public let status: Int
    private let head: AnswerHead
    private var body: AnswerBody

    init(_ head: AnswerHead, _ body: AnswerBody) {
        status = head.status
        self.head = head
        self.body = body
    }

    public func header(_ name: String) -> String? { head.first(name) }

    /// True when output and errors come in frames (`StreamFrames`).
    public var isMultiplexed: Bool { header("content-type") == "application/vnd.docker.multiplexed-stream" }

    /// The next bytes, or nil at the end.
    public func next() async throws -> ByteBuffer? { try await body.next() }

    /// Everything up to the end; more than `limit` bytes is an error.
    public func collect(limit: Int = 256 << 20) async throws -> [UInt8] {
        let tooLarge = EngineConnectionError(.other, "the answer of the engine is larger than \(limit) bytes")
        if case .socket(let answer) = body { return try await answer.collect(limit: limit, tooLarge) }
        var all = ByteBuffer()
        while let bytes = try await next() {
            all.writeImmutableBuffer(bytes)
            guard all.readableBytes <= limit else { throw tooLarge }
        }
        return Array(all.readableBytesView)
    }

    /// Hands on every line of a stream of JSON objects, without its line feed.
    public func forEachLine(_ body: ([UInt8]) async throws -> Void) async throws {
        var line: [UInt8] = []
        while let bytes = try await next() {
            for part in bytes.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                .enumerated()
            {
                if part.offset > 0 {
                    if !Self.isBlank(line) { try await body(line) }
                    line.removeAll(keepingCapacity: true)
                }
                line += part.element
            }
        }
        if !Self.isBlank(line) { try await body(line) }
    }

    private static func isBlank(_ line: [UInt8]) -> Bool {
        line.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }
    }
}

/// Where the bytes of a body come from.
enum AnswerBody {
    case eventLoop(NIOAsyncChannelInboundStream<ResponsePart>.AsyncIterator)
    case socket(SocketAnswer)
    case over

    mutating func next() async throws -> ByteBuffer? {
        switch self {
        case .over: return nil
        case .socket(let answer): return try await answer.next().map { ByteBuffer(bytes: $0) }
        case .eventLoop(var parts):
            while let part = try await parts.next() {
                guard case .bytes(let bytes) = part else {
                    if case .end = part { break }
                    continue
                }
                self = .eventLoop(parts)
                return bytes
            }
            self = .over
            return nil
        }
    }
}

/// The answer that arrives over a socket. One task at a time reads it.
final class SocketAnswer: Sendable {
    private let connection: SocketConnection
    private let reader = Mutex(AnswerReader())

    init(_ connection: SocketConnection) {
        self.connection = connection
    }

    /// Waits for the head on the calling thread.
    func headWaiting(hasBody: Bool, hijacks: Bool) throws -> AnswerHead {
        try reader.withLock { try $0.head(hasBody: hasBody, hijacks: hijacks, connection.receiveWaiting) }
    }

    func head(hasBody: Bool, hijacks: Bool) async throws -> AnswerHead {
        try await connection.reading { try self.headWaiting(hasBody: hasBody, hijacks: hijacks) }
    }

    func next() async throws -> [UInt8]? {
        try await connection.reading { try self.nextWaiting() }
    }

    /// Everything up to the end, or `tooLarge`.
    func collect(limit: Int, _ tooLarge: EngineConnectionError) async throws -> [UInt8] {
        try await connection.reading {
            var all: [UInt8] = []
            while let bytes = try self.nextWaiting() {
                all += bytes
                guard all.count <= limit else { throw tooLarge }
            }
            return all
        }
    }

    private func nextWaiting() throws -> [UInt8]? {
        try reader.withLock { try $0.next(connection.receiveWaiting) }
    }
}

/// The client's side of a hijacked connection. May be used from another task than the one that reads.
public struct EngineStreamWriter: Sendable {
    enum Way: Sendable {
        case eventLoop(NIOAsyncChannelOutboundWriter<RequestPart>, any Channel)
        case socket(SocketConnection)
    }

    let way: Way

    /// Sends bytes; waits while the engine does not read.
    public func write(_ bytes: [UInt8]) async throws {
        switch way {
        case .eventLoop(let outbound, _): try await outbound.write(.bytes(ByteBuffer(bytes: bytes)))
        case .socket(let connection): try await connection.send(bytes)
        }
    }

    /// Tells the engine that nothing more will come: the end of the container's standard input.
    public func finish() async throws {
        switch way {
        case .eventLoop(_, let channel):
            // A half close drops what is not flushed yet, so that something has to be flushed and waited for first.
            try await channel.writeAndFlush(RequestPart.bytes(ByteBuffer()))
            try await channel.close(mode: .output)
        case .socket(let connection): connection.finishSending()
        }
    }
}
