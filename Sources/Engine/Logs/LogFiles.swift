import Archive
import Linux
import Logging
import Synchronization
import SystemPackage

/// The files of one log, which its writer renames as they fill: `NAME`, `NAME.1`, `NAME.2` …, the newest first. Older ones may
/// be packed by now: `NAME.1.gz`. Calls may block.
struct LogFiles: Sendable {
    let path: FilePath
    let logger: Logger

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
        // So it is nearly each time that a follower asks; the others need not be opened then.
        if try file.isAt(path) { return nil }
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
            return try LogPart(
                OwnedFD.open(name, .readOnly), isPacked: name.extension == "gz", directory: path.removingLastComponent(), logger: logger)
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
    /// Of a packed one: the first bytes, as the runtime's `LogCompression` draws them.
    private let header: [UInt8]
    private let directory: FilePath
    private let logger: Logger
    private let unpacked = Mutex<SharedFD?>(nil)

    init(_ file: consuming OwnedFD, isPacked: Bool, directory: FilePath, logger: Logger) throws(SystemError) {
        inode = try fstat(file).inode
        let shared = SharedFD(file)
        var header: [UInt8] = []
        if isPacked {
            // What cannot be read is damaged, which is said when somebody wants its text.
            header = (try? shared.withOwned { try $0.read(at: 0, count: 48) }) ?? []
        }
        self.file = shared
        self.header = header
        self.isPacked = isPacked
        self.directory = directory
        self.logger = logger
    }

    /// Its text. Of a packed file that is damaged, what stands before the damage.
    func text() throws -> SharedFD {
        guard isPacked else { return file }
        if let text = unpacked.withLock({ $0 }) { return text }
        let text = try unpack()
        unpacked.withLock { $0 = text }
        return text
    }

    /// Whether this is the file of that name now.
    func isAt(_ path: FilePath) throws -> Bool {
        guard !isPacked, let there = try lstatIfExists(path) else { return false }
        return there.inode == inode
    }

    /// Whether it holds the same lines: it is the same file, or one of them was made of the other.
    func isSame(as other: LogPart) throws -> Bool {
        if isPacked == other.isPacked, inode == other.inode { return true }
        guard isPacked || other.isPacked, let mine = try origin(), let others = try other.origin() else { return false }
        return mine == others
    }

    /// What tells a file from all others of this log: of a packed one, the file that it was made of. nil when it does not say so.
    private func origin() throws -> [Int64]? {
        guard isPacked else {
            let status = try file.withOwned { try fstat($0) }
            return [Int64(bitPattern: status.inode), status.size, status.modified.seconds, status.modified.nanoseconds]
        }
        let mark: [UInt8] = [36, 0, UInt8(ascii: "S"), UInt8(ascii: "k"), 32, 0]
        guard header.count == 48, header[3] == 4, Array(header[10..<16]) == mark else { return nil }
        var numbers: [Int64] = []
        for start in stride(from: 16, to: 48, by: 8) {
            numbers.append(header[start..<(start + 8)].reversed().reduce(Int64(0)) { $0 << 8 | Int64($1) })
        }
        return numbers
    }

    private func unpack() throws -> SharedFD {
        do {
            let text = SharedFD(try OwnedFD.open(directory, [.readWrite, .temporary]))
            try unpack(to: text)
            return text
        } catch {
            // The disk is full, or its file system has no files without a name.
            logger.debug("a packed log is unpacked to memory", metadata: ["error": "\(error)"])
            let text = SharedFD(try memoryFile("log"))
            try unpack(to: text)
            return text
        }
    }

    private func unpack(to text: SharedFD) throws {
        var source: (any ByteSource)?
        // What comes in one piece with the damage is lost.
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count: Int
            do {
                let packed = try source ?? content()
                source = packed
                count = try buffer.withUnsafeMutableBytes { try packed.read(into: $0) }
            } catch {
                logger.warning("an older file of a log is damaged; only its beginning is shown", metadata: ["error": "\(error)"])
                return
            }
            if count == 0 { return }
            try buffer.withUnsafeBytes { try text.writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    private func content() throws -> any ByteSource {
        guard header.starts(with: [0x1f, 0x8b]) else { throw ArchiveError.malformed("gzip: no header") }
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
