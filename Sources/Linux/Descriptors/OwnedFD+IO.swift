import CLinux
import Glibc
public import SystemPackage

/// How a file is opened: the flags of open(2). `O_CLOEXEC` is always added.
public struct OpenFlags: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let readOnly = OpenFlags(rawValue: O_RDONLY)
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    public static let create = OpenFlags(rawValue: O_CREAT)
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    public static let append = OpenFlags(rawValue: O_APPEND)
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    public static let noControllingTerminal = OpenFlags(rawValue: O_NOCTTY)
    /// A file without a name in the directory that the path names (`O_TMPFILE`, which Swift does not see).
    public static let temporary = OpenFlags(rawValue: 0o20000000 | O_DIRECTORY)
    /// Only a place in the file tree, without access to its content.
    public static let path = OpenFlags(rawValue: O_PATH)
}

extension OwnedFD {
    /// Opens a path that the program itself made up. Paths that come from images, containers or clients go through
    /// `PathInRoot` instead.
    public static func open(_ path: FilePath, _ flags: OpenFlags, mode: mode_t = 0o600) throws(SystemError) -> OwnedFD {
        OwnedFD(
            adopting: try check("open", path.string) {
                path.withPlatformString { Glibc.open($0, flags.rawValue | O_CLOEXEC, mode) }
            })
    }

    /// The same relative to a directory; `name` is one component that the program made up or got from a directory listing.
    public static func open(_ name: String, in directory: borrowing OwnedFD, _ flags: OpenFlags, mode: mode_t = 0o600)
        throws(SystemError) -> OwnedFD
    {
        let raw = directory.raw
        return OwnedFD(
            adopting: try check("openat", name) { Glibc.openat(raw, name, flags.rawValue | O_CLOEXEC, mode) })
    }

    /// Reads at most `buffer.count` bytes; 0 is the end.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        try check("read") { Glibc.read(raw, buffer.baseAddress, buffer.count) }
    }

    /// Writes everything, in as many calls as it takes.
    public func writeAll(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var rest = bytes
        while !rest.isEmpty {
            let written = try check("write") { Glibc.write(raw, rest.baseAddress, rest.count) }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
        }
    }

    /// Writes everything, in as many calls as it takes.
    public func writeAll(_ bytes: [UInt8]) throws(SystemError) {
        let result: Result<Void, SystemError> = bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { return .success(try writeAll(buffer)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Everything up to the end of the file, or `SystemError(.fileTooLarge)` when that is more than `limit` bytes.
    public func readAll(limit: Int) throws(SystemError) -> [UInt8] {
        let status = try fstat(self)
        // A file with a size is read at once. Files of the kernel's have none, or that of a page, and come in parts.
        let size = status.kind == .regular && status.size > 4096 ? Int(Swift.min(status.size, Int64(limit))) : 0
        var bytes: [UInt8] = []
        while true {
            let want = Swift.min(max(bytes.count, size + 1, 4096), limit + 1 - bytes.count)
            let start = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: want))
            let count = try check("read") {
                bytes.withUnsafeMutableBytes { Glibc.read(raw, $0.baseAddress?.advanced(by: start), want) }
            }
            bytes.removeLast(want - count)
            if count == 0 || size > 0 && count < want { return bytes }
            if bytes.count > limit { throw SystemError(errno: .fileTooLarge, call: "read") }
        }
    }

    /// At most `count` bytes from a place in the file; fewer at its end, none behind it.
    public func read(at offset: Int64, count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let read = try check("pread") { bytes.withUnsafeMutableBytes { pread(raw, $0.baseAddress, count, off_t(offset)) } }
        bytes.removeLast(count - read)
        return bytes
    }

    /// Waits until the file's data and metadata are on disk (fsync(2)).
    public func sync() throws(SystemError) {
        try check("fsync") { fsync(raw) }
    }
}
