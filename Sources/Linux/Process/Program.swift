import CLinux
import Glibc
import SystemPackage

/// The file that the calling process runs, told apart from others without a path.
public struct ProgramFile: Sendable, Equatable {
    let device: UInt64
    let inode: UInt64

    /// Needs the host's procfs.
    public static func current() throws(SystemError) -> ProgramFile {
        let file = try OwnedFD.open("/proc/self/exe", .path)
        let status = try fstat(file)
        return ProgramFile(device: status.device, inode: status.inode)
    }

    /// Whether a path leads to this very file.
    public func isSame(as path: String) -> Bool {
        guard let file = try? OwnedFD.open(FilePath(path), .path), let status = try? fstat(file) else {
            return false  // What cannot be opened is not the same; executing it tells why.
        }
        return status.device == device && status.inode == inode
    }
}

/// Why a path cannot be executed by the calling process, with its current rights; nil when it can.
public func executionObstacle(_ path: String) -> Errno? {
    var status = stat()
    if stat(path, &status) != 0 { return Errno(rawValue: Glibc.errno) }
    if status.st_mode & S_IFMT == S_IFDIR { return .isDirectory }
    if faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0 { return Errno(rawValue: Glibc.errno) }
    return nil
}

/// Becomes another program. Returns only when that fails, with the reason.
public func execute(_ path: String, arguments: [String], environment: [String]) -> Errno {
    let argv = CStringArray(arguments)
    let envp = CStringArray(environment)
    execve(path, argv.pointers, envp.pointers)
    return Errno(rawValue: Glibc.errno)
}
