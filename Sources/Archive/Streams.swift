public import Linux

/// Bytes that come one after the other. The calls may block.
public protocol ByteSource: AnyObject {
    /// Fills the buffer, at least partly; 0 is the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// A place for bytes, one after the other. The calls may block.
public protocol ByteSink: AnyObject {
    /// Takes all of the bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// A file, a pipe or a socket as a source.
public final class FileSource: ByteSource, Sendable {
    private let file: SharedFD

    public init(_ file: SharedFD) { self.file = file }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try file.read(into: buffer) }
}

/// A file, a pipe or a socket as a sink.
public final class FileSink: ByteSink, Sendable {
    private let file: SharedFD

    public init(_ file: SharedFD) { self.file = file }

    public func write(_ bytes: UnsafeRawBufferPointer) throws { try file.writeAll(bytes) }
}

/// Bytes in memory as a source.
public final class MemorySource: ByteSource {
    private let bytes: [UInt8]
    private var position = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, bytes.count - position)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<(position + count)])) }
        position += count
        return count
    }
}

/// Keeps what is written in memory.
public final class MemorySink: ByteSink {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public func write(_ bytes: UnsafeRawBufferPointer) throws { self.bytes.append(contentsOf: bytes) }
}

/// Gathers small writes into large ones. `flush` passes on what is left.
public final class BufferedSink: ByteSink {
    private let sink: any ByteSink
    private var buffer: [UInt8] = []
    private let capacity: Int

    public init(_ sink: any ByteSink, capacity: Int = 1 << 20) {
        self.sink = sink
        self.capacity = capacity
        buffer.reserveCapacity(capacity)
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        if buffer.count + bytes.count > capacity { try flush() }
        if bytes.count >= capacity { return try sink.write(bytes) }
        buffer.append(contentsOf: bytes)
    }

    public func flush() throws {
        guard !buffer.isEmpty else { return }
        try buffer.withUnsafeBytes { try sink.write($0) }
        buffer.removeAll(keepingCapacity: true)
    }
}

/// A source that can be looked ahead in.
public final class BufferedSource: ByteSource {
    private let source: any ByteSource
    private let buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    public init(_ source: any ByteSource, capacity: Int = 1 << 18) {
        self.source = source
        buffer = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// The next bytes without taking them; fewer than `count` only at the end. `count` is at most the capacity.
    /// The bytes are valid until the next call.
    public func peek(_ count: Int) throws -> UnsafeRawBufferPointer {
        if end - start < count {
            if buffer.count - start < count { moveToFront() }
            while end - start < count {
                let got = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
                if got == 0 { break }
                end += got
            }
        }
        return UnsafeRawBufferPointer(rebasing: buffer[start..<min(end, start + count)])
    }

    /// The bytes at hand, read anew if there are none; empty at the end.
    public func available() throws -> UnsafeRawBufferPointer {
        if start == end {
            start = 0
            end = try source.read(into: buffer)
        }
        return UnsafeRawBufferPointer(rebasing: buffer[start..<end])
    }

    /// Takes bytes that were looked at.
    public func skip(_ count: Int) { start += min(count, end - start) }

    public func read(into target: UnsafeMutableRawBufferPointer) throws -> Int {
        if start == end, target.count >= buffer.count { return try source.read(into: target) }
        let bytes = try available().prefix(target.count)
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes))
        skip(bytes.count)
        return bytes.count
    }

    private func moveToFront() {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
        end -= start
        start = 0
    }
}

extension ByteSource {
    /// Passes everything up to the end to the sink, and tells how much that was.
    @discardableResult
    public func copyAll(to sink: any ByteSink) throws -> Int64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        var total: Int64 = 0
        while true {
            let count = try read(into: buffer)
            if count == 0 { return total }
            try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            total += Int64(count)
        }
    }

    /// Everything up to the end, in memory. `ArchiveError.tooLarge` beyond the limit.
    public func readAll(limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            if count == 0 { return bytes }
            guard bytes.count + count <= limit else { throw ArchiveError.tooLarge("more than \(limit) bytes") }
            bytes.append(contentsOf: buffer[..<count])
        }
    }
}
