import AsyncHTTPClient
public import NIOCore
import NIOHTTP1
public import OCI

/// The content of a blob that is uploaded, from its beginning.
public typealias BlobPieces = @Sendable () async throws -> ByteBuffer?

extension RepositoryClient {
    /// Makes a blob of another repository of the same registry appear here, without a transfer. False when the registry
    /// does not do that (for us).
    public func mount(_ digest: Digest, from repository: String) async throws -> Bool {
        var call = Call(method: .POST, address: address("blobs/uploads/").adding("mount", digest.description).adding("from", repository))
        call.scopes = ["repository:\(repository):pull"]
        let answer: Answer
        do {
            answer = try await exchange.send(call, expecting: [201, 202])
        } catch let error as RegistryError where [.unauthorized, .denied, .notFound, .refused].contains(error.kind) {
            return false
        }
        await Body.discard(answer.response)
        if answer.status == 202, let location = location(of: answer) { await cancel(location) }
        return answer.status == 201
    }

    /// Uploads a blob that is in memory.
    public func upload(_ bytes: [UInt8], digest: Digest) async throws {
        let location = try await beginUpload().address
        var call = Call(method: .PUT, address: location.adding("digest", digest.description))
        call.headers = ["Content-Type": "application/octet-stream"]
        call.body = { .bytes(ByteBuffer(bytes: bytes)) }
        let answer = try await exchange.send(call, expecting: [201, 204])
        await Body.discard(answer.response)
    }

    /// Uploads a blob whose digest is known only when all of it was read: `finish` gives it then. Streams in one request,
    /// or in as many as the registry wants. Returns when the registry has verified and kept the blob.
    ///
    /// A failure leaves it to the caller to try again with pieces from the beginning.
    public func upload(_ pieces: @escaping BlobPieces, finish: @Sendable () async throws -> Digest) async throws {
        let begun = try await beginUpload()
        var location = begun.address
        do {
            if let least = begun.leastChunk {
                location = try await sendChunks(pieces, to: location, size: max(least, Self.chunkBytes))
            } else {
                location = try await stream(pieces, to: location)
            }
            let digest = try await finish()
            let call = Call(
                method: .PUT, address: location.adding("digest", digest.description), headers: ["Content-Length": "0"], isRepeatable: false)
            let answer = try await exchange.send(call, expecting: [201, 204])
            await Body.discard(answer.response)
        } catch {
            await cancel(location)
            throw error
        }
    }

    private static let chunkBytes = 8 << 20
    private static let mostChunkBytes = 64 << 20

    private func beginUpload() async throws -> (address: WebAddress, leastChunk: Int?) {
        let call = Call(method: .POST, address: address("blobs/uploads/"), headers: ["Content-Length": "0"])
        let answer = try await exchange.send(call, expecting: [202])
        await Body.discard(answer.response)
        let least = answer.header("OCI-Chunk-Min-Length").flatMap { Int($0) }
        if let least, least > Self.mostChunkBytes {
            throw RegistryError(.unsupported, "\(origin.authority) wants uploads in chunks of \(least) bytes at least")
        }
        return (try requiredLocation(of: answer), least)
    }

    private func stream(_ pieces: @escaping BlobPieces, to location: WebAddress) async throws -> WebAddress {
        var call = Call(method: .PATCH, address: location, headers: ["Content-Type": "application/octet-stream"], isRepeatable: false)
        call.body = { .stream(PieceSequence(next: pieces), length: .unknown) }
        call.streamsOnce = true
        let answer = try await exchange.send(call, expecting: [201, 202, 204])
        await Body.discard(answer.response)
        return try requiredLocation(of: answer)
    }

    private func sendChunks(_ pieces: BlobPieces, to location: WebAddress, size: Int) async throws -> WebAddress {
        var location = location
        var offset = 0
        var chunk = ByteBuffer()
        var atEnd = false
        while !atEnd {
            while chunk.readableBytes < size, !atEnd {
                if var piece = try await pieces() { chunk.writeBuffer(&piece) } else { atEnd = true }
            }
            guard let part = chunk.readSlice(length: min(chunk.readableBytes, size)), part.readableBytes > 0 else { break }
            chunk.discardReadBytes()
            var call = Call(method: .PATCH, address: location, isRepeatable: false)
            call.headers = [
                "Content-Type": "application/octet-stream", "Content-Range": "\(offset)-\(offset + part.readableBytes - 1)",
            ]
            call.body = { .bytes(part) }
            let answer = try await exchange.send(call, expecting: [201, 202, 204])
            await Body.discard(answer.response)
            location = try requiredLocation(of: answer)
            offset += part.readableBytes
        }
        return location
    }

    /// Where the upload goes on. It stays at the registry: our credentials go along.
    private func location(of answer: Answer) -> WebAddress? {
        answer.header("Location").flatMap { answer.address.resolving($0) }
    }

    private func requiredLocation(of answer: Answer) throws -> WebAddress {
        guard let location = location(of: answer) else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) does not say where the upload goes on")
        }
        guard location.origin.scheme == "https" || origin.scheme == "http" else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) sends the upload away from TLS, to \(location.shown)")
        }
        return location
    }

    /// What is not cancelled runs out by itself, so a failure does not matter.
    private func cancel(_ location: WebAddress) async {
        let call = Call(method: .DELETE, address: location, isRepeatable: false)
        guard let answer = try? await exchange.send(call, expecting: [200, 202, 204, 404, 405]) else { return }
        await Body.discard(answer.response)
    }
}

private struct PieceSequence: AsyncSequence, Sendable {
    let next: BlobPieces

    func makeAsyncIterator() -> Iterator { Iterator(next: next) }

    struct Iterator: AsyncIteratorProtocol {
        let next: BlobPieces
        func next() async throws -> ByteBuffer? { try await next() }
    }
}
