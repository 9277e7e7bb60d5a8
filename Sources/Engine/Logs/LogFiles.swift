import Archive
import Linux
import Synchronization
import SystemPackage

/// The files of one log, which its writer renames as they fill: `NAME`, `NAME.1`, `NAME.2` …, the newest first. Older ones may
/// be packed by now: `NAME.1.gz`. Calls may block.
struct LogFiles: Sendable {
    let path: FilePath

    /// All there are, the oldest first; empty when nothing was ever logged. A file that is renamed meanwhile is there once.
    func open() throws -> [LogPart] {
        var files: [LogPart] = []
        // From the newest on: what is renamed while we look turns up again under the next name, and nothing is missed.
        // While its writer moves them, one of the names may be free.
        var missing = 0
        for number in 0... {
            guard let file = try open(number) else {
                missing += 1
                if missing == 2 { break }
                continue
            }
            missing = 0
            if try !files.contains(where: { try $0.isSame(as: file) }) { files.append(file) }
        }
        return files.reversed()
    }

    /// The file that was begun after this one; nil while this is the newest. When it has been removed already, the oldest
    /// that is left.
    func next(after file: LogPart) throws -> LogPart? {
        let all = try open()
        for (index, candidate) in all.enumerated() where try candidate.isSame(as: file) {
            return index + 1 < all.count ? all[index + 1] : nil
        }
        return all.first
    }

    private func open(_ number: Int) throws -> LogPart? {
        // Where both are there, the second was just made of the first.
        for name in number == 0 ? [path] : [FilePath("\(path).\(number)"), FilePath("\(path).\(number).gz")] {
            if let part = try open(name) { return part }
        }
        return nil
    }

    private func open(_ name: FilePath) throws(SystemError) -> LogPart? {
        do {
            return try LogPart(OwnedFD.open(name, .readOnly), isPacked: name.extension == "gz", directory: path.removingLastComponent())
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
    }
}

/// One file of a log. A packed one is unpacked when it is read, to a file without a name. Calls may block.
final class LogPart: Sendable {
    /// As it is on disk.
    let file: SharedFD
    private let isPacked: Bool
    private let inode: UInt64
    private let directory: FilePath
    private let unpacked = Mutex<SharedFD?>(nil)

    init(_ file: consuming OwnedFD, isPacked: Bool, directory: FilePath) throws(SystemError) {
        inode = try fstat(file).inode
        self.file = SharedFD(file)
        self.isPacked = isPacked
        self.directory = directory
    }

    /// Its text.
    func text() throws -> SharedFD {
        guard isPacked else { return file }
        if let text = unpacked.withLock({ $0 }) { return text }
        let text = SharedFD(try OwnedFD.open(directory, [.readWrite, .temporary]))
        let source = try content()
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { break }
            try buffer.withUnsafeBytes { try text.writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
        unpacked.withLock { $0 = text }
        return text
    }

    /// Whether it holds the same lines: it is the same file, or one of them was made of the other.
    func isSame(as other: LogPart) throws -> Bool {
        if isPacked == other.isPacked { return inode == other.inode }
        guard let line = try firstLine() else { return false }
        return try line == other.firstLine()
    }

    /// The end of the first line, in which its time stands to the nanosecond. nil without a line.
    private func firstLine() throws -> [UInt8]? {
        let source = try content()
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        // What the engine's own supervisor writes has an end long before.
        while line.count < 1 << 20 {
            let count = try buffer.withUnsafeMutableBytes { try source.read(into: $0) }
            if count == 0 { return nil }
            line += buffer[..<count]
            if let end = line.firstIndex(of: UInt8(ascii: "\n")) { return Array(line[..<end].suffix(64)) }
        }
        return nil
    }

    private func content() throws -> any ByteSource {
        guard isPacked else { return PlacedSource(file) }
        var limits = ArchiveLimits()
        // Equal lines shrink to almost nothing; how much there can be is known from the log's limits.
        limits.compressionRatio = .max
        return try decompressing(PlacedSource(file), limits: limits)
    }
}

/// A file from its beginning, wherever others are in it.
private final class PlacedSource: ByteSource {
    private let file: SharedFD
    private var offset: Int64 = 0

    init(_ file: SharedFD) {
        self.file = file
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let bytes = try file.withOwned { try $0.read(at: offset, count: buffer.count) }
        buffer.copyBytes(from: bytes)
        offset += Int64(bytes.count)
        return bytes.count
    }
}
