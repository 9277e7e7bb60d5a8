import CLinux
import Glibc
import SystemPackage

/// The number of the calling process.
public func processID() -> pid_t { getpid() }

/// When a process was started, in ticks since the machine was: with the pid it names the process for ever.
public func processStartTime(_ pid: pid_t) throws(SystemError) -> UInt64 {
    let bytes = try OwnedFD.open(FilePath("/proc/\(pid)/stat"), .readOnly).readAll(limit: 8192)
    // The name of the program is in parentheses and may have any byte; the 20th field after it is the time.
    let rest = Array(bytes[(bytes.lastIndex(of: UInt8(ascii: ")")) ?? bytes.startIndex)...])
    let fields = pieces(of: rest, at: UInt8(ascii: " "))
    guard fields.count > 20, let time = UInt64(fields[20]) else {
        throw SystemError(errno: .invalidArgument, call: "read", subject: "/proc/\(pid)/stat")
    }
    return time
}

/// Milliseconds of a clock that nobody sets, to measure spans with.
public func monotonicMilliseconds() -> Int64 {
    Int64(monotonicSeconds() * 1000)
}

/// Gives memory that was freed back to the system. For a program that has done its large work and will idle for long.
public func releaseFreeMemory() {
    // 0 is only the answer that there was nothing to give back.
    _ = malloc_trim(0)
}

/// Forgets the code of the program that was needed until now; what is needed again comes from its file. For a program that
/// will idle for long and that many run at a time.
public func releaseCode() {
    clinux_release_code()
}
