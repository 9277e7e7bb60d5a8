import CLinux
import Glibc
import SystemPackage

// Calls on a name in an open directory. None follows a symbolic link of that name.

public func openat(_ directory: borrowing OwnedFD, _ name: FileName, _ flags: OpenFlags, mode: UInt32 = 0o600)
    throws(SystemError) -> OwnedFD
{
    let (raw, flags) = (directory.raw, flags.rawValue | O_CLOEXEC | O_NOFOLLOW)
    return OwnedFD(
        adopting: try check("openat", name.description) {
            name.withCString { Glibc.openat(raw, $0, flags, mode) }
        })
}

/// The same directory with another way of access, for instance readable for one that was opened as a mere place.
public func reopenDirectory(_ directory: borrowing OwnedFD) throws(SystemError) -> OwnedFD {
    let raw = directory.raw
    return OwnedFD(
        adopting: try check("openat", ".") { Glibc.openat(raw, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
}

public func mkdirat(_ directory: borrowing OwnedFD, _ name: FileName, mode: UInt32) throws(SystemError) {
    let raw = directory.raw
    try check("mkdirat", name.description) { name.withCString { Glibc.mkdirat(raw, $0, mode) } }
}

/// Removes a name; an empty directory with `directory: true`.
public func unlinkat(_ parent: borrowing OwnedFD, _ name: FileName, directory: Bool = false) throws(SystemError) {
    let (raw, flags) = (parent.raw, directory ? AT_REMOVEDIR : 0)
    try check("unlinkat", name.description) { name.withCString { Glibc.unlinkat(raw, $0, flags) } }
}

/// Moves a name, over what has the new name unless `noReplace`; `exchange` swaps the two.
public func renameat(
    _ from: borrowing OwnedFD, _ name: FileName, to target: borrowing OwnedFD, _ newName: FileName,
    noReplace: Bool = false, exchange: Bool = false
) throws(SystemError) {
    let (from, to) = (from.raw, target.raw)
    let flags = UInt32(noReplace ? 1 : 0) | UInt32(exchange ? 2 : 0)
    try check("renameat", name.description) {
        name.withCString { old in newName.withCString { Glibc.renameat2(from, old, to, $0, flags) } }
    }
}

/// Makes a symbolic link whose text is `target`, which may be any bytes but zero.
public func symlinkat(_ target: [UInt8], _ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) {
    let raw = directory.raw
    let text = target.map(CChar.init(bitPattern:)) + [0]
    try check("symlinkat", name.description) { name.withCString { Glibc.symlinkat(text, raw, $0) } }
}

/// Where an open directory lies, without links on the way: as the kernel names it in mountinfo.
public func realPath(of directory: borrowing OwnedFD) throws(SystemError) -> FilePath {
    let processes = try OwnedFD.open("/proc/self/fd", [.path, .directory])
    return FilePath(String(decoding: try readlinkat(processes, FileName("\(directory.raw)")), as: UTF8.self))
}

public func readlinkat(_ directory: borrowing OwnedFD, _ name: FileName) throws(SystemError) -> [UInt8] {
    let raw = directory.raw
    var buffer = [CChar](repeating: 0, count: 4097)
    let count = try check("readlinkat", name.description) {
        name.withCString { Glibc.readlinkat(raw, $0, &buffer, buffer.count) }
    }
    return buffer[..<count].map(UInt8.init(bitPattern:))
}

/// A second name for a file; a symbolic link gets a second name itself.
public func linkat(
    _ from: borrowing OwnedFD, _ name: FileName, to directory: borrowing OwnedFD, _ newName: FileName
) throws(SystemError) {
    let (from, to) = (from.raw, directory.raw)
    try check("linkat", newName.description) {
        name.withCString { old in newName.withCString { Glibc.linkat(from, old, to, $0, 0) } }
    }
}

/// Makes a device node, a fifo or a socket. The mode is subject to the umask.
public func mknodat(
    _ directory: borrowing OwnedFD, _ name: FileName, kind: FileMetadata.Kind, mode: UInt32, major: UInt32 = 0,
    minor: UInt32 = 0
) throws(SystemError) {
    let raw = directory.raw
    let type: UInt32 =
        switch kind {
        case .characterDevice: S_IFCHR
        case .blockDevice: S_IFBLK
        case .fifo: S_IFIFO
        case .socket: S_IFSOCK
        case .regular, .directory, .symbolicLink: S_IFREG
        }
    try check("mknodat", name.description) {
        name.withCString { Glibc.mknodat(raw, $0, type | mode, gnu_dev_makedev(major, minor)) }
    }
}

public func fchownat(_ directory: borrowing OwnedFD, _ name: FileName, uid: UInt32, gid: UInt32) throws(SystemError) {
    let raw = directory.raw
    try check("fchownat", name.description) {
        name.withCString { Glibc.fchownat(raw, $0, uid, gid, AT_SYMLINK_NOFOLLOW) }
    }
}

public func fchown(_ file: borrowing OwnedFD, uid: UInt32, gid: UInt32) throws(SystemError) {
    let raw = file.raw
    try check("fchown") { Glibc.fchown(raw, uid, gid) }
}

/// Not for symbolic links, which have no permissions of their own (`EOPNOTSUPP`).
public func fchmodat(_ directory: borrowing OwnedFD, _ name: FileName, mode: UInt32) throws(SystemError) {
    let raw = directory.raw
    try check("fchmodat", name.description) {
        name.withCString { Glibc.fchmodat(raw, $0, mode, AT_SYMLINK_NOFOLLOW) }
    }
}

public func fchmod(_ file: borrowing OwnedFD, mode: UInt32) throws(SystemError) {
    let raw = file.raw
    try check("fchmod") { Glibc.fchmod(raw, mode) }
}

/// Sets the time of the last change, and that of the last access to the same.
public func utimensat(_ directory: borrowing OwnedFD, _ name: FileName, modified: FileMetadata.Time)
    throws(SystemError)
{
    let raw = directory.raw
    let time = timespec(tv_sec: Int(modified.seconds), tv_nsec: Int(modified.nanoseconds))
    let times = [time, time]
    try check("utimensat", name.description) {
        name.withCString { Glibc.utimensat(raw, $0, times, AT_SYMLINK_NOFOLLOW) }
    }
}

public func futimens(_ file: borrowing OwnedFD, modified: FileMetadata.Time) throws(SystemError) {
    let raw = file.raw
    let time = timespec(tv_sec: Int(modified.seconds), tv_nsec: Int(modified.nanoseconds))
    let times = [time, time]
    try check("futimens") { Glibc.futimens(raw, times) }
}
