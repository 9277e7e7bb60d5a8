import CLinux
import Glibc
public import SystemPackage

/// How large a file system is and what is left of it (statvfs(3)).
public struct FilesystemSpace: Sendable, Equatable {
    public let totalBytes: UInt64
    /// For everybody but root, as `df` shows it.
    public let availableBytes: UInt64

    public init(at path: FilePath) throws(SystemError) {
        var status = statvfs()
        let place = try OwnedFD.open(path, .path)
        let raw = place.raw
        try check("fstatvfs", path.string) { fstatvfs(raw, &status) }
        totalBytes = UInt64(status.f_blocks) * UInt64(status.f_frsize)
        availableBytes = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}

/// Whether nothing can be written through the mount that the descriptor lies in.
public func isReadOnly(_ place: borrowing OwnedFD) throws(SystemError) -> Bool {
    let raw = place.raw
    var status = statvfs()
    try check("fstatvfs") { fstatvfs(raw, &status) }
    return status.f_flag & UInt(ST_RDONLY) != 0
}
