import AsyncHTTPClient
public import NIOCore
import NIOHTTP1
public import OCI

/// The bytes of a blob, or of a part of it, while they come.
public struct BlobBody: AsyncSequence, Sendable {
    public typealias Element = ByteBuffer

    /// Where in the blob the bytes begin: 0 when the registry sends all of it although a part was asked for.
    public let start: Int64
    /// The registry sends the part that was asked for.
    public let isPart: Bool
    private let response: HTTPClientResponse
    private let address: WebAddress

    init(start: Int64, isPart: Bool, _ answer: Answer) {
        self.start = start
        self.isPart = isPart
        response = answer.response
        address = answer.address
    }

    public func makeAsyncIterator() -> Iterator { Iterator(response.body.makeAsyncIterator(), address) }

    public struct Iterator: AsyncIteratorProtocol {
        private var inner: HTTPClientResponse.Body.AsyncIterator
        private let address: WebAddress

        init(_ inner: HTTPClientResponse.Body.AsyncIterator, _ address: WebAddress) {
            self.inner = inner
            self.address = address
        }

        /// Errors of the connection are `RegistryError`s; the body ended before its stated length is one of them.
        public mutating func next() async throws -> ByteBuffer? {
            do {
                return try await inner.next()
            } catch {
                throw Transport.translated(error, .GET, address)
            }
        }
    }
}

extension RepositoryClient {
    /// Begins to fetch a blob, or the part `range` of it. One try: whoever reads on after a failure knows from where.
    public func openBlob(_ descriptor: Descriptor, range: Range<Int64>? = nil) async throws -> BlobBody {
        var call = Call(method: .GET, address: address("blobs/\(descriptor.digest)"))
        if let range { call.headers.add(name: "Range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)") }
        call.isRepeatable = false
        let answer = try await exchange.send(call, expecting: range == nil ? [200] : [200, 206])
        guard answer.status == 206, let range else { return BlobBody(start: 0, isPart: false, answer) }
        guard Self.covers(answer.header("Content-Range"), range, descriptor.size) else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) sent another part than was asked for")
        }
        return BlobBody(start: range.lowerBound, isPart: true, answer)
    }

    /// A small blob as a whole, verified.
    public func blob(_ descriptor: Descriptor, limit: Int) async throws -> [UInt8] {
        guard descriptor.size <= limit else {
            throw RegistryError(.invalidReply, "blob \(descriptor.digest) has \(descriptor.size) bytes, more than \(limit)")
        }
        let answer = try await exchange.send(Call(method: .GET, address: address("blobs/\(descriptor.digest)")), expecting: [200])
        let bytes = try await Body.collect(answer.response, limit: limit, .GET, answer.address)
        guard Int64(bytes.count) == descriptor.size, ContentDigest.of(bytes, descriptor.digest.algorithm) == descriptor.digest else {
            throw RegistryError(.invalidReply, "filesystem layer verification failed for digest \(descriptor.digest)")
        }
        return bytes
    }

    /// The size of a blob, nil when it is not there.
    public func blobSize(_ digest: Digest) async throws -> Int64? {
        do {
            let answer = try await exchange.send(Call(method: .HEAD, address: address("blobs/\(digest)")), expecting: [200])
            await Body.discard(answer.response)
            return answer.header("Content-Length").flatMap { Int64($0) }
        } catch let error as RegistryError where error.kind == .notFound {
            return nil
        }
    }

    /// `bytes 10-19/100`
    private static func covers(_ header: String?, _ range: Range<Int64>, _ size: Int64) -> Bool {
        guard let header, header.hasPrefix("bytes ") else { return false }
        let parts = header.dropFirst(6).split(whereSeparator: { $0 == "-" || $0 == "/" })
        guard parts.count == 3, let first = Int64(parts[0]), let last = Int64(parts[1]) else { return false }
        return first == range.lowerBound && last == range.upperBound - 1 && (parts[2] == "*" || Int64(parts[2]) == size)
    }
}
