import Linux
import SystemPackage

/// The file that a log is written to, and the older ones that it makes way for when it is full:
///
///     NAME   NAME.1   NAME.2 …      the newest first; what falls out at the end is removed
///
/// A reader that has a file open keeps it: files are renamed and removed, never cut.
struct LogFile: ~Copyable {
    /// When a file is full, and how many there are, the one that is written to included.
    struct Limits: Sendable {
        var bytes: Int64
        var files: Int
    }

    private let path: FilePath
    private let limits: Limits?
    private var file: OwnedFD
    private var size: Int64

    /// Appends to what is there. The file may be open already.
    init(_ path: FilePath, _ limits: Limits?, _ opened: consuming OwnedFD? = nil) throws(SystemError) {
        let file = if let opened { opened } else { try Self.open(path) }
        size = try fstat(file).size
        self.path = path
        self.limits = limits
        self.file = file
    }

    var rawFD: Int32 { file.raw }

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
        if files > 1 {
            for number in (1..<files - 1).reversed() { try move(older(number), older(number + 1)) }
            try move(path, older(1))
        } else {
            try unlink(path)
        }
        file = try Self.open(path)
        size = try fstat(file).size
    }

    private func older(_ number: Int) -> FilePath { FilePath("\(path).\(number)") }

    private func move(_ from: FilePath, _ to: FilePath) throws(SystemError) {
        do {
            try rename(from, to: to)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return  // Not that many yet.
        }
    }

    private static func open(_ path: FilePath) throws(SystemError) -> OwnedFD {
        try OwnedFD.open(path, [.writeOnly, .append, .create], mode: 0o640)
    }
}
