import Blocking
import NIOCore
import OCI
import Registry

/// Fills a partial blob from a registry: over several connections at once when it is large and the registry can send
/// parts, and over new connections when one breaks off or brings nothing for too long.
struct BlobDownload: Sendable {
    let blob: PartialBlob
    let descriptor: Descriptor
    let repository: RepositoryClient
    let configuration: RegistryConfiguration
    /// Told how many bytes are there.
    let progress: @Sendable (Int64) -> Void

    /// A blob below this size is fetched in one go.
    private static let largeBytes: Int64 = 32 << 20
    private static let partBytes: Int64 = 16 << 20
    private static let connections = 4
    /// So much is gathered before it is written and counted.
    private static let bufferBytes = 256 << 10

    /// Returns when all bytes are there.
    func run() async throws {
        guard !blob.isComplete else { return }
        let (sends, announce) = AsyncStream.makeStream(of: Bool.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { announce.finish() }
                try await work { announce.yield($0) }
            }
            // As soon as the first answer has told that the registry sends parts.
            for await sendsParts in sends {
                guard sendsParts, descriptor.size >= Self.largeBytes else { break }
                for _ in 1..<Self.connections { group.addTask { try await work { _ in } } }
                break
            }
            try await group.waitForAll()
        }
        guard blob.isComplete else { throw RegistryError(.invalidReply, "blob \(descriptor.digest) is shorter than \(descriptor.size) bytes") }
    }

    /// Fetches one part after the other until nothing is left to fetch.
    private func work(answered: @Sendable (Bool) -> Void) async throws {
        var wait = BackOff(configuration)
        let limit = descriptor.size >= Self.largeBytes ? Self.partBytes : Int64.max
        while let part = blob.claim(limit: limit) {
            let before = blob.presentBytes
            do {
                try await fetch(part, answered: answered)
                blob.giveBack(part)
                wait.reset()
            } catch {
                blob.giveBack(part)
                guard let error = error as? RegistryError, error.isTransient else { throw error }
                if blob.presentBytes > before { wait.reset() }
                try await wait.next(after: error)
            }
        }
    }

    private func fetch(_ part: Range<Int64>, answered: @Sendable (Bool) -> Void) async throws {
        let isAll = part == 0..<descriptor.size
        let body = try await repository.openBlob(descriptor, range: isAll && descriptor.size < Self.largeBytes ? nil : part)
        answered(body.isPart)
        var writer = BufferedWriter(blob, at: body.start, limit: Self.bufferBytes)
        let end = body.isPart ? part.upperBound : descriptor.size
        do {
            for try await buffer in body {
                guard writer.end + Int64(buffer.readableBytes) <= end else {
                    throw RegistryError(.invalidReply, "blob \(descriptor.digest) is longer than its descriptor says")
                }
                try await writer.write(buffer)
                progress(blob.presentBytes)
            }
        } catch {
            try await writer.flush()
            throw error
        }
        try await writer.flush()
        progress(blob.presentBytes)
        guard writer.end == end else { throw RegistryError(.connection, "blob \(descriptor.digest): unexpected EOF") }
    }
}

/// Gathers small buffers, so that there is one write for many.
private struct BufferedWriter {
    private let blob: PartialBlob
    private let limit: Int
    private var start: Int64
    private var gathered = ByteBuffer()

    init(_ blob: PartialBlob, at start: Int64, limit: Int) {
        self.blob = blob
        self.start = start
        self.limit = limit
    }

    var end: Int64 { start + Int64(gathered.readableBytes) }

    mutating func write(_ buffer: ByteBuffer) async throws {
        gathered.writeImmutableBuffer(buffer)
        if gathered.readableBytes >= limit { try await flush() }
    }

    mutating func flush() async throws {
        guard gathered.readableBytes > 0 else { return }
        let (blob, bytes, place) = (blob, gathered, start)
        try await blocking { try bytes.withUnsafeReadableBytes { try blob.write($0, at: place) } }
        start = end
        gathered.clear()
    }
}
