import CLinux
import Glibc
public import SystemPackage

/// A program file that is opened once and spawned from then on by a private read-only mount of it: nobody who gets hold
/// of `/proc/PID/exe` of such a process can write to the file, and what was opened stays the program even when another
/// file takes its path. A program that shields itself (`ProgramFile.shield`) finds nothing left to do.
public final class SealedProgram: Sendable {
    /// Where the file was found.
    public let path: FilePath
    private let mount: OwnedFD

    /// Needs CAP_SYS_ADMIN.
    public init(_ path: FilePath) throws(SystemError) {
        self.path = path
        let clone = try Mount.clone(of: path, recursive: false)
        try Mount.setAttributes(clone, set: .readOnly)
        // Above the numbers that a spawned program's own descriptors are moved to.
        let raw = try check("fcntl F_DUPFD_CLOEXEC", path.string) { fcntl(clone.raw, F_DUPFD_CLOEXEC, 64) }
        mount = OwnedFD(adopting: raw)
    }

    /// As `spawn(_:named:arguments:environment:descriptors:)`, by the name of the path.
    public func spawn(arguments: [String], environment: [String], descriptors: [Int32]) throws(SystemError) -> pid_t {
        try Linux.spawn(
            FilePath("/proc/self/fd/\(mount.raw)"), by: mount.raw, named: path.string, arguments: arguments,
            environment: environment, descriptors: descriptors)
    }
}
