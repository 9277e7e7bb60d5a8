import AsyncHTTPClient
import Blocking
public import Linux
import NIOCore
import NIOHTTP1

/// What a server said of a file that it sent.
public struct WebDocument: Sendable, Equatable {
    /// Where it came from in the end.
    public var address: WebAddress
    /// Names the content for as long as it stays the same.
    public var etag: String?
    /// As an HTTP date.
    public var lastModified: String?
    public var isUnchanged = false
}

extension Registries {
    /// Downloads any file, with the certificates and proxies that hold for registries too.
    ///
    /// Redirects are followed to http and https only, never away from TLS, and `authorization` goes to the first origin
    /// alone. With `etag` the answer may be that nothing has changed; then nothing is written.
    public func download(
        _ address: WebAddress, authorization: String? = nil, unless etag: String? = nil, limit: Int64, to file: SharedFD
    ) async throws -> WebDocument {
        var next = address
        for _ in 0...10 {
            var headers = HTTPHeaders()
            headers.add(name: "Accept", value: "*/*")
            if let authorization, next.origin == address.origin { headers.add(name: "Authorization", value: authorization) }
            if let etag { headers.add(name: "If-None-Match", value: etag) }
            let response = try await transport.send(.GET, next, headers: headers)
            let answer = Answer(response: response, address: next)
            switch answer.status {
            case 200:
                try await save(answer, limit: limit, to: file)
                return WebDocument(
                    address: next, etag: answer.header("ETag"), lastModified: answer.header("Last-Modified"))
            case 304 where etag != nil:
                await Body.discard(response)
                return WebDocument(address: next, etag: etag, lastModified: nil, isUnchanged: true)
            case 301, 302, 303, 307, 308:
                await Body.discard(response)
                next = try Exchange.target(of: answer)
            default:
                await Body.discard(response)
                throw RegistryError(
                    .refused, "invalid response status \(answer.status) \(response.status.reasonPhrase) from \(next.shown)",
                    status: answer.status)
            }
        }
        throw RegistryError(.invalidReply, "stopped after 10 redirects at \(address.shown)")
    }

    private func save(_ answer: Answer, limit: Int64, to file: SharedFD) async throws {
        var total: Int64 = 0
        do {
            for try await buffer in answer.response.body {
                total += Int64(buffer.readableBytes)
                guard total <= limit else {
                    throw RegistryError(.invalidReply, "\(answer.address.shown) is larger than \(limit) bytes")
                }
                try await blocking {
                    try buffer.withUnsafeReadableBytes { bytes in try file.withOwned { try $0.writeAll(bytes) } }
                }
            }
        } catch {
            throw Transport.translated(error, .GET, answer.address)
        }
        if let stated = answer.header("Content-Length").flatMap({ Int64($0) }), stated != total {
            throw RegistryError(.connection, "\(Transport.shown(.GET, answer.address)): unexpected EOF")
        }
    }
}
