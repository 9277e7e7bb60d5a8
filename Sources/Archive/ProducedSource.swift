import Linux

/// Bytes that a thread of its own writes, a few large pieces ahead of their reader. `stop`, or letting go of it, ends that
/// thread and waits for it.
public final class ProducedSource: ByteSource {
    private let queue: BoundedQueue<Result<[UInt8], any Error>>
    private var piece: [UInt8] = []
    private var position = 0
    private var isStopped = false

    /// An error of `produce` reaches the reader after the bytes before it.
    public init(_ produce: @escaping @Sendable (any ByteSink) throws -> Void) throws {
        let queue = BoundedQueue<Result<[UInt8], any Error>>(capacity: 4)
        self.queue = queue
        try startThread {
            do {
                let sink = BufferedSink(QueueSink(queue))
                try produce(sink)
                try sink.flush()
            } catch {
                _ = queue.put(.failure(error))
            }
            queue.finish()
        }
    }

    /// Reads a source ahead, so that, say, decompression and unpacking go side by side. Until `stop` the source belongs to
    /// the other thread.
    public convenience init(readingAhead source: any ByteSource) throws {
        let handedOver = HandedOver(source: source)
        try self.init { sink in try handedOver.source.copyAll(to: sink) }
    }

    deinit { stop() }

    public func stop() {
        if !isStopped { queue.abandon() }
        isStopped = true
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while position == piece.count {
            guard let next = queue.take() else { return 0 }
            piece = try next.get()
            position = 0
        }
        let count = min(buffer.count, piece.count - position)
        piece.withUnsafeBytes { bytes in
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)]))
        }
        position += count
        return count
    }
}

private final class QueueSink: ByteSink {
    private let queue: BoundedQueue<Result<[UInt8], any Error>>

    init(_ queue: BoundedQueue<Result<[UInt8], any Error>>) { self.queue = queue }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard queue.put(.success(Array(bytes))) else { throw ArchiveError.malformed("nobody reads on") }
    }
}

/// A source on its way to the thread that reads it; nobody else touches it meanwhile.
private struct HandedOver: @unchecked Sendable {
    let source: any ByteSource
}
