import CLinux
import Glibc
public import SystemPackage

/// A lock that one process holds on a file; the kernel lets go of it when the process ends, however that happens.
public struct FileLock: ~Copyable, Sendable {
    private let file: OwnedFD

    /// Takes the lock, or answers nil when another process has it. The file is made when missing, and stays.
    public static func acquire(_ path: FilePath) throws(SystemError) -> FileLock? {
        let file = try OwnedFD.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
        do {
            let raw = file.raw
            try check("flock", path.string) { flock(raw, LOCK_EX | LOCK_NB) }
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            return nil
        }
        return FileLock(file: file)
    }

    /// Replaces the content of the locked file, for instance by the holder's pid.
    public func write(_ bytes: [UInt8]) throws(SystemError) {
        let raw = file.raw
        try check("ftruncate") { ftruncate(raw, 0) }
        try check("lseek") { lseek(raw, 0, SEEK_SET) }
        try file.writeAll(bytes)
    }
}
