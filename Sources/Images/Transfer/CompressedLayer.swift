import Archive
import Blocking
import NIOCore
import OCI
import Synchronization

/// How a layer is packed.
public enum LayerCompression: String, Sendable, CaseIterable {
    case uncompressed, gzip, zstd

    var mediaType: String {
        switch self {
        case .uncompressed: MediaType.layer
        case .gzip: MediaType.layerGzip
        case .zstd: MediaType.layerZstd
        }
    }

    /// As Docker compresses; a change makes new blobs of all layers.
    private static let gzipLevel: Int32 = 6

    /// Writes the tar of a layer in this form.
    fileprivate func write(
        _ layer: Digest, of layers: LayerStore, to sink: any ByteSink, progress: @escaping @Sendable (Int64) -> Void
    ) throws {
        switch self {
        case .uncompressed: try layers.writeTar(layer, to: CountingSink(sink, progress: progress))
        case .gzip:
            let gzip = try GzipSink(sink, level: Self.gzipLevel)
            try layers.writeTar(layer, to: CountingSink(gzip, progress: progress))
            try gzip.finish()
        case .zstd:
            let zstd = try ZstdSink(sink)
            try layers.writeTar(layer, to: CountingSink(zstd, progress: progress))
            try zstd.finish()
        }
    }
}

/// The compressed tar of a layer, made while it is read; the same bytes each time. One reader at a time.
final class CompressedLayer: @unchecked Sendable {  // The source has one user: whoever calls `next`, call after call.
    private let source: ProducedSource
    private let result: Result
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    private final class Result: Sendable {
        let value = Mutex<(digest: Digest, size: Int64)?>(nil)
    }

    /// `progress` is told how many bytes of the tar are packed.
    init(
        _ layer: Digest, of layers: LayerStore, as compression: LayerCompression = .gzip,
        progress: @escaping @Sendable (Int64) -> Void = { _ in }
    ) throws {
        let result = Result()
        self.result = result
        source = try ProducedSource { sink in
            let counting = CountingSink(sink)
            let hashing = HashingSink(counting)
            try compression.write(layer, of: layers, to: hashing, progress: progress)
            let made = (hashing.digest, counting.count)
            result.value.withLock { $0 = made }
        }
    }

    deinit { buffer.deallocate() }

    /// The next bytes, nil at the end.
    func next() async throws -> ByteBuffer? {
        try await blocking { [self] in
            let count = try source.read(into: buffer)
            return count == 0 ? nil : ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Digest and size of all that `next` gave, once it gave the end.
    func finished() throws -> (digest: Digest, size: Int64) {
        guard let made = result.value.withLock({ $0 }) else { throw ImageError.invalid("the layer was not read to its end") }
        return made
    }

    /// Ends the making; for those who do not read on.
    func stop() async throws {
        try await blocking { [self] in source.stop() }
    }
}

/// Counts what is written through it.
private final class CountingSink: ByteSink {
    private let sink: any ByteSink
    private let progress: (Int64) -> Void
    private(set) var count: Int64 = 0

    init(_ sink: any ByteSink, progress: @escaping (Int64) -> Void = { _ in }) {
        self.sink = sink
        self.progress = progress
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        try sink.write(bytes)
        count += Int64(bytes.count)
        progress(count)
    }
}
