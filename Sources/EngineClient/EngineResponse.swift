public import NIOCore
import NIOHTTP1

/// The answer to a request while its connection is open: status, headers, and the body as it arrives.
///
/// On a hijacked connection the body is the stream of the container.
public final class EngineResponse {
    public let status: Int
    private let headers: HTTPHeaders
    private var parts: NIOAsyncChannelInboundStream<ResponsePart>.AsyncIterator
    private var ended = false

    init(_ head: HTTPResponseHead, _ parts: NIOAsyncChannelInboundStream<ResponsePart>.AsyncIterator) {
        status = Int(head.status.code)
        headers = head.headers
        self.parts = parts
    }

    public func header(_ name: String) -> String? { headers.first(name: name) }

    /// True when output and errors come in frames (`StreamFrames`).
    public var isMultiplexed: Bool { header("content-type") == "application/vnd.docker.multiplexed-stream" }

    /// The next bytes, or nil at the end.
    public func next() async throws -> ByteBuffer? {
        while !ended {
            switch try await parts.next() {
            case .bytes(let bytes): return bytes
            case .head: continue
            case .end, nil: ended = true
            }
        }
        return nil
    }

    /// Everything up to the end; more than `limit` bytes is an error.
    public func collect(limit: Int = 256 << 20) async throws -> [UInt8] {
        var all = ByteBuffer()
        while let bytes = try await next() {
            all.writeImmutableBuffer(bytes)
            guard all.readableBytes <= limit else {
                throw EngineConnectionError(.other, "the answer of the engine is larger than \(limit) bytes")
            }
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

/// The client's side of a hijacked connection. May be used from another task than the one that reads.
public struct EngineStreamWriter: Sendable {
    let outbound: NIOAsyncChannelOutboundWriter<RequestPart>
    let channel: any Channel

    /// Sends bytes; waits while the engine does not read.
    public func write(_ bytes: [UInt8]) async throws {
        try await outbound.write(.bytes(ByteBuffer(bytes: bytes)))
    }

    /// Tells the engine that nothing more will come: the end of the container's standard input.
    public func finish() async throws {
        // A half close drops what is not flushed yet, so that something has to be flushed and waited for first.
        try await channel.writeAndFlush(RequestPart.bytes(ByteBuffer()))
        try await channel.close(mode: .output)
    }
}
