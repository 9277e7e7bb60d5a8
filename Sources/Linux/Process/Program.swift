import CLinux
import Glibc
import SystemPackage

/// The file that the calling process runs, told apart from others without a path.
public struct ProgramFile: Sendable, Equatable {
    let device: UInt64
    let inode: UInt64

    /// As `status()`.
    public static func current() throws(SystemError) -> ProgramFile {
        let status = try status()
        return ProgramFile(device: status.device, inode: status.inode)
    }

    /// Of the file as it was at the first call, which needs the host's procfs.
    public static func status() throws(SystemError) -> FileMetadata { try known.get() }

    private static let known = Result<FileMetadata, SystemError> { () throws(SystemError) in
        try fstat(try OwnedFD.open("/proc/self/exe", .path))
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
        if try isReadOnly(file) { return try keepName(arguments) }
        do throws(SystemError) {
            let mount = try Mount.clone(of: file, recursive: false)
            try Mount.setAttributes(mount, set: .readOnly)
            // The mount goes with this descriptor, so that nobody can make it writable again; the running file stays.
            try executeAgain(mount, arguments)
        } catch {
            if error.errno != .notPermitted { throw error }
            try shieldFromOwner(arguments)
        }
    }

    /// An ordinary user may not mount. What such a user starts can write the file only if the user can: then the process
    /// executes itself again from a copy in memory that nobody can change any more.
    private static func shieldFromOwner(_ arguments: [String]) throws(SystemError) {
        let file = try OwnedFD.open("/proc/self/exe", .readOnly)
        let raw = file.raw
        // -1 for a file that cannot have seals: every bit, and none of them meant.
        let seals = fcntl(raw, fcntlGetSeals)
        if seals >= 0, seals & sealAgainstWriting != 0 { return try keepName(arguments) }
        if try fstat(file).uid != geteuid(), faccessat(AT_FDCWD, "/proc/self/exe", W_OK, AT_EACCESS) != 0 { return }
        let copy = try memoryFile("program", isSealable: true)
        let target = copy.raw
        while try check("sendfile", "", { sendfile(target, raw, nil, 64 << 20) }) > 0 {}
        try check("fchmod") { Glibc.fchmod(target, 0o555) }
        try check("fcntl F_ADD_SEALS") { fcntl(target, fcntlAddSeals, sealAgainstAll) }
        try executeAgain(copy, arguments)
    }

    /// Executes the running program anew with other arguments. Of the descriptors only those named are kept, and the three
    /// of standard input and output. Returns by an error only, and then nothing has changed.
    public static func executeAgain(_ arguments: [String], keeping descriptors: [Int32]) throws(SystemError) {
        do throws(SystemError) {
            for raw in descriptors { try check("fcntl F_SETFD", "\(raw)") { fcntl(raw, F_SETFD, 0) } }
            let argv = CStringArray(arguments)
            try check("execve", "/proc/self/exe") { execve("/proc/self/exe", argv.pointers, environ) }
        } catch {
            for raw in descriptors { _ = fcntl(raw, F_SETFD, FD_CLOEXEC) }
            throw error
        }
    }

    private static func executeAgain(_ file: borrowing OwnedFD, _ arguments: [String]) throws(SystemError) {
        let argv = CStringArray(arguments)
        let path = "/proc/self/fd/\(file.raw)"
        try check("execve", "/proc/self/exe") { execve(path, argv.pointers, environ) }
    }

    /// Executed by descriptor, the process would be listed under the descriptor's number. Kept at most 15 bytes.
    private static func keepName(_ arguments: [String]) throws(SystemError) {
        let name = arguments.first.flatMap { pathComponents($0).last } ?? ""
        try check("prctl PR_SET_NAME") { name.withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0) } }
    }
}

// Swift does not see these, since they are made by macros (fcntl(2)).
private let fcntlAddSeals: Int32 = 1033
private let fcntlGetSeals: Int32 = 1034
private let sealAgainstWriting: Int32 = 8
/// Against growing, shrinking, writing and other seals.
private let sealAgainstAll: Int32 = 15
