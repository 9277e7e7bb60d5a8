import Archive
import Blocking
import Linux
public import NIOCore
import Synchronization
import SystemPackage

/// The body of an upload.
public protocol UploadSource: Sendable {
    /// The next bytes, nil at the end.
    func next() async throws -> ByteBuffer?
}

/// Joins code that waits for bytes on a thread (archives, compression) with streams that wait without one, through a
/// pipe: neither side gets ahead of the other by more than the pipe holds.
enum ByteBridge {
    private static let chunk = 256 << 10

    /// Each transfer keeps two of the threads for blocking calls waiting for each other; so that there are always others,
    /// only some run at a time.
    static let slots = Slots(16)

    /// The two ends of a new pipe.
    struct Ends: Sendable {
        let reading: Handover
        let writing: Handover

        init() throws {
            let (reading, writing) = try sharedPipe()
            self.reading = Handover(reading)
            self.writing = Handover(writing)
        }
    }

    /// Runs `work` on a thread with what the client sends.
    static func upload<T: Sendable>(_ source: any UploadSource, to work: @escaping @Sendable (any ByteSource) throws -> T) async throws -> T {
        try await upload(source, through: { file in try await blocking { try work(FileSource(file)) } })
    }

    /// Runs `work` with a pipe that brings what the client sends.
    static func upload<T: Sendable>(_ source: any UploadSource, through work: @escaping @Sendable (SharedFD) async throws -> T)
        async throws -> T
    {
        try await slots.take { try await transfer(source, through: work) }
    }

    private static func transfer<T: Sendable>(
        _ source: any UploadSource, through work: @escaping @Sendable (SharedFD) async throws -> T
    ) async throws -> T {
        let pipe = try Ends()
        async let result: T = work(try pipe.reading.take())
        do {
            while let buffer = try await gather(source) {
                let open = try await blocking { try pipe.writing.write(buffer) }
                // The worker has what it needs, or has failed: its result tells.
                if !open { break }
            }
            pipe.writing.drop()
        } catch {
            pipe.writing.drop()
            _ = try? await result  // The client's own failure is the one to tell.
            throw error
        }
        return try await result
    }

    /// The next bytes, many at once: each way to a thread and back costs as much as copying some thousands.
    private static func gather(_ source: any UploadSource) async throws -> ByteBuffer? {
        guard var gathered = try await source.next() else { return nil }
        while gathered.readableBytes < chunk, var more = try await source.next() { gathered.writeBuffer(&more) }
        return gathered
    }

    /// Runs `work` on a thread and sends what it writes.
    static func download(
        from work: @escaping @Sendable (any ByteSink) throws -> Void, to write: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        try await download(
            through: { file in
                try await blocking {
                    let sink = BufferedSink(FileSink(file))
                    try work(sink)
                    try sink.flush()
                }
            }, to: write)
    }

    /// Sends all that a directory holds as one archive, with what else there is to add to it.
    static func archive(
        _ root: SharedFD, adding add: @escaping @Sendable (TarWriter) throws -> Void = { _ in },
        to write: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        try await download(
            from: { sink in
                let writer = TarWriter(sink)
                try root.withOwned { try TreeArchive(writer).addContents(of: $0) }
                try add(writer)
                try writer.finish()
            }, to: write)
    }

    /// Runs `work` with a pipe and sends what comes through it.
    static func download(
        through work: @escaping @Sendable (SharedFD) async throws -> Void, to write: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        try await slots.take { try await transfer(through: work, to: write) }
    }

    private static func transfer(
        through work: @escaping @Sendable (SharedFD) async throws -> Void, to write: @Sendable (ByteBuffer) async throws -> Void
    ) async throws {
        let pipe = try Ends()
        async let finished: Void = work(try pipe.writing.take())
        do {
            while true {
                let bytes = try await blocking { try pipe.reading.read(count: chunk) }
                if bytes.isEmpty { break }
                try await write(ByteBuffer(bytes: bytes))
            }
            pipe.reading.drop()
        } catch {
            pipe.reading.drop()
            _ = try? await finished  // The worker only saw its reader go.
            throw error
        }
        try await finished
    }
}

/// One end of a pipe on its way to the one who closes it.
final class Handover: Sendable {
    private let end: Mutex<SharedFD?>

    init(_ end: SharedFD) {
        self.end = Mutex(end)
    }

    /// The end, which closes when the taker lets go of it.
    func take() throws -> SharedFD {
        try end.withLock { end in
            guard let taken = end else { throw SystemError(errno: .badFileDescriptor, call: "pipe") }
            end = nil
            return taken
        }
    }

    /// Closes the end, once nobody uses it any more.
    func drop() {
        end.withLock { $0 = nil }
    }

    private var current: SharedFD? { end.withLock { $0 } }

    /// False when the other side has closed.
    func write(_ buffer: ByteBuffer) throws -> Bool {
        guard let file = current else { return false }
        do {
            try buffer.withUnsafeReadableBytes { bytes in try file.withOwned { try $0.writeAll(bytes) } }
            return true
        } catch let error as SystemError where error.errno == .brokenPipe {
            return false
        }
    }

    /// Empty at the end.
    func read(count: Int) throws -> [UInt8] {
        guard let file = current else { return [] }
        var bytes = [UInt8](repeating: 0, count: count)
        let read = try bytes.withUnsafeMutableBytes { buffer in try file.withOwned { try $0.read(into: buffer) } }
        bytes.removeLast(count - read)
        return bytes
    }
}
