import CLinux
import Glibc
public import SystemPackage

/// What the kernel knows about a file, apart from its content (stat(2)).
public struct FileMetadata: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case regular, directory, symbolicLink, characterDevice, blockDevice, fifo, socket
    }

    public struct Time: Sendable, Hashable {
        public var seconds: Int64
        public var nanoseconds: Int64

        public init(seconds: Int64, nanoseconds: Int64 = 0) {
            self.seconds = seconds
            self.nanoseconds = nanoseconds
        }
    }

    public var kind: Kind
    /// Permissions with setuid, setgid and the sticky bit; without the kind.
    public var permissions: UInt32
    public var uid: UInt32
    public var gid: UInt32
    public var size: Int64
    /// The space it takes on disk.
    public var allocatedBytes: Int64
    public var modified: Time
    /// When anything about it was changed last; the kernel alone sets it.
    public var changed: Time
    public var device: UInt64
    public var inode: UInt64
    public var links: UInt64
    /// Of a device node.
    public var deviceMajor: UInt32
    public var deviceMinor: UInt32

    /// Kind and permissions as `stat` packs them.
    public let rawMode: UInt32

    /// How an overlay marks a name that is gone: a character device 0:0.
    public var isWhiteout: Bool { kind == .characterDevice && deviceMajor == 0 && deviceMinor == 0 }

    init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .symbolicLink
        case S_IFCHR: kind = .characterDevice
        case S_IFBLK: kind = .blockDevice
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        default: kind = .regular
        }
        rawMode = status.st_mode
        permissions = status.st_mode & 0o7777
        uid = status.st_uid
        gid = status.st_gid
        size = Int64(status.st_size)
        allocatedBytes = Int64(status.st_blocks) * 512
        modified = Time(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
        changed = Time(seconds: Int64(status.st_ctim.tv_sec), nanoseconds: Int64(status.st_ctim.tv_nsec))
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        links = UInt64(status.st_nlink)
        deviceMajor = gnu_dev_major(status.st_rdev)
        deviceMinor = gnu_dev_minor(status.st_rdev)
    }
}

/// Of an open file.
public func fstat(_ file: borrowing OwnedFD) throws(SystemError) -> FileMetadata {
    let raw = file.raw
    var status = stat()
    try check("fstat") { Glibc.fstat(raw, &status) }
    return FileMetadata(status)
}

/// Of a name in a directory; a symbolic link is not followed.
public func fstatat(_ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) -> FileMetadata {
    let raw = directory.raw
    var status = stat()
    try check("fstatat", name.description) {
        name.withCString { Glibc.fstatat(raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
    }
    return FileMetadata(status)
}

/// The same, or nil when there is nothing of that name.
public func fstatatIfExists(_ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) -> FileMetadata? {
    do {
        return try fstatat(directory, name)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return nil
    }
}

/// Whether something is mounted on a name in a directory.
public func isMountPoint(_ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) -> Bool {
    let raw = directory.raw
    return try check("statx", name.description) { name.withCString { clinux_is_mount_point(raw, $0) } } == 1
}

/// Of a path that the program made up, or nil when nothing is there; a symbolic link is not followed.
public func lstatIfExists(_ path: FilePath) throws(SystemError) -> FileMetadata? {
    var status = stat()
    do {
        try check("lstat", path.string) { path.withPlatformString { lstat($0, &status) } }
        return FileMetadata(status)
    } catch  where error.errno == .noSuchFileOrDirectory {
        return nil
    }
}
