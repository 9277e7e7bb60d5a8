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

extension ProgramFile {
    /// Makes sure that the program file of this process cannot be written by way of this process, by whoever gets hold of
    /// `/proc/PID/exe`: unless it lies on a read-only mount, the process executes itself again from a private read-only
    /// mount of the file, with the same arguments, environment and descriptors. Then this call does not return.
    public static func shield(arguments: [String]) throws(SystemError) {
        let file = try OwnedFD.open("/proc/self/exe", .path)
        var status = statvfs()
        try check("fstatvfs", "/proc/self/exe") { fstatvfs(file.raw, &status) }
        if status.f_flag & UInt(ST_RDONLY) != 0 {
            // Executed by descriptor, the process would be listed under the descriptor's number. Kept at most 15 bytes.
            let name = arguments.first?.split(separator: "/").last.map(String.init) ?? ""
            try check("prctl PR_SET_NAME") { name.withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0) } }
            return
        }
        let mount = try Mount.clone(of: file, recursive: false)
        try Mount.setAttributes(mount, set: .readOnly)
        // The mount goes with this descriptor, so that nobody can make it writable again; the running file stays.
        let argv = CStringArray(arguments)
        try check("execve", "/proc/self/exe") { execve("/proc/self/fd/\(mount.raw)", argv.pointers, environ) }
    }
}
