import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Reads the bodies of answers, never more than a limit.
enum Body {
    /// The whole body. `RegistryError.invalidReply` when it is longer than the limit.
    static func collect(_ response: HTTPClientResponse, limit: Int, _ method: HTTPMethod, _ address: WebAddress) async throws -> [UInt8] {
        if let stated = response.headers.first(name: "content-length").flatMap({ Int($0) }), stated > limit {
            throw tooLong(limit, address)
        }
        var bytes: [UInt8] = []
        do {
            for try await buffer in response.body {
                guard bytes.count + buffer.readableBytes <= limit else { throw tooLong(limit, address) }
                bytes.append(contentsOf: buffer.readableBytesView)
            }
        } catch {
            throw Transport.translated(error, method, address)
        }
        return bytes
    }

    /// Reads on so that the connection can be used again; what is too long for that ends it.
    static func discard(_ response: HTTPClientResponse) async {
        var left = 64 << 10
        do {
            for try await buffer in response.body {
                left -= buffer.readableBytes
                if left < 0 { return }
            }
        } catch {
            // Nobody wants these bytes; a broken connection is made anew by the next request.
        }
    }

    private static func tooLong(_ limit: Int, _ address: WebAddress) -> RegistryError {
        RegistryError(.invalidReply, "the answer of \(address.shown) is longer than \(limit) bytes")
    }
}
