import Linux
import SystemPackage

/// The file that a log is written to, and the older ones that it makes way for when it is full:
///
///     NAME   NAME.1   NAME.2 …          the newest first; what falls out at the end is removed
///     NAME   NAME.1.gz   NAME.2.gz …    the same where older ones are packed
///
/// A reader that has a file open keeps it: files are renamed and removed, never cut.
struct LogFile: ~Copyable {
    /// When a file is full, and how many there are, the one that is written to included.
    struct Limits: Sendable {
        var bytes: Int64
        var files: Int
        /// Older files are packed.
        var packs = false
    }

    private let path: FilePath
    private let limits: Limits?
    private var file: OwnedFD
    private var size: Int64
    private let compression: LogCompression?

    /// Appends to what is there. The file may be open already.
    init(_ path: FilePath, _ limits: Limits?, _ opened: consuming OwnedFD? = nil) throws(SystemError) {
        let file = if let opened { opened } else { try Self.open(path) }
        size = try fstat(file).size
        self.path = path
        self.limits = limits
        self.file = file
        compression = if let limits, limits.packs { LogCompression(path, files: limits.files) } else { nil }
    }

    var rawFD: Int32 { file.raw }

    /// Whether older files are being packed. What is not packed when this ends may stay as it is.
    var isPacking: Bool { compression?.isUnderWay ?? false }

    /// Older files keep their names and their form from now on.
    func stopPacking() throws(SystemError) { _ = try compression?.stop() }

    /// Writes whole entries. When there is no making way, they are written all the same before the failure is thrown.
    mutating func write(_ entries: [UInt8]) throws(SystemError) {
        var failure: SystemError?
        if let limits, size > 0, size + Int64(entries.count) > limits.bytes {
            do throws(SystemError) { try makeWay(limits.files) } catch { failure = error }
        }
        try file.writeAll(entries)
        size += Int64(entries.count)
        if let failure { throw failure }
    }

    private mutating func makeWay(_ files: Int) throws(SystemError) {
        // Later, if the process that packs cannot be ended: this file gets larger than it should.
        if let compression, try !compression.stop() { return }
        if files > 1 {
            for number in (1..<files - 1).reversed() { try moveOn(number) }
            try move(path, older(1))
            if compression != nil { try unlinkIfExists(packed(older(1))) }
        } else {
            try unlink(path)
        }
        file = try Self.open(path)
        size = try fstat(file).size
        try compression?.begin()
    }

    /// In whichever form it is. Where it is there in both, the packed one was just made of the other.
    private func moveOn(_ number: Int) throws(SystemError) {
        let isThere = try move(older(number), older(number + 1))
        guard compression != nil else { return }
        if isThere {
            try unlinkIfExists(packed(older(number)))
            try unlinkIfExists(packed(older(number + 1)))
        } else if try move(packed(older(number)), packed(older(number + 1))) {
            try unlinkIfExists(older(number + 1))
        }
    }

    private func packed(_ path: FilePath) -> FilePath { FilePath("\(path).gz") }

    private func older(_ number: Int) -> FilePath { FilePath("\(path).\(number)") }

    /// False where there is none: not that many yet, or in another form.
    @discardableResult
    private func move(_ from: FilePath, _ to: FilePath) throws(SystemError) -> Bool {
        do {
            try rename(from, to: to)
            return true
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        }
    }

    private static func open(_ path: FilePath) throws(SystemError) -> OwnedFD {
        try OwnedFD.open(path, [.writeOnly, .append, .create], mode: 0o640)
    }
}
