import CLinux
import Glibc
import SystemPackage

/// All signals of the process as something to read. They have no other effect from then on, SIGKILL and SIGSTOP apart.
public struct SignalDescriptor: ~Copyable {
    public let descriptor: OwnedFD

    public init() throws(SystemError) {
        var all = sigset_t()
        sigfillset(&all)
        // Faults of the program itself stay what they are.
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP] { sigdelset(&all, fault) }
        try check("sigprocmask") { sigprocmask(SIG_SETMASK, &all, nil) }
        descriptor = OwnedFD(adopting: try check("signalfd") { signalfd(-1, &all, Int32(SFD_CLOEXEC)) })
    }

    /// The next signal. Waits for it.
    public func next() throws(SystemError) -> Signal {
        var information = signalfd_siginfo()
        let raw = descriptor.raw
        try check("read", "signals") { Glibc.read(raw, &information, MemoryLayout<signalfd_siginfo>.size) }
        return Signal(rawValue: Int32(information.ssi_signo))
    }
}

extension Signal {
    public static let childEnded = Signal(rawValue: SIGCHLD)
    public static let windowChanged = Signal(rawValue: SIGWINCH)
    /// What the kernel tells about urgent data; nothing that anybody sent on purpose.
    public static let urgentData = Signal(rawValue: SIGURG)
}

/// How a child ended, if it has; nil while it runs.
public func endOfChild(_ pid: Int32) throws(SystemError) -> ExitStatus? {
    var status: Int32 = 0
    guard try check("waitpid", "\(pid)", { waitpid(pid, &status, WNOHANG) }) == pid else { return nil }
    let signal = status & 0x7f
    return signal == 0 ? .exited(status >> 8 & 0xff) : .signaled(signal)
}

/// Whether a process exists and is more than an entry that waits to be reaped.
public func isProcessAlive(_ pid: Int32, startTime: UInt64) -> Bool {
    // What cannot be read is not there any more.
    guard let stat = try? OwnedFD.open(FilePath("/proc/\(pid)/stat"), .readOnly).readAll(limit: 8192),
        let closing = stat.lastIndex(of: UInt8(ascii: ")"))
    else { return false }
    let fields = stat[(closing + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let time = UInt64(String(decoding: fields[19], as: UTF8.self)) else { return false }
    return time == startTime && fields[0] != [UInt8(ascii: "Z")] && fields[0] != [UInt8(ascii: "X")]
}

/// Makes a named pipe that only its owner may open.
public func makeNamedPipe(_ name: FileName, in directory: borrowing OwnedFD) throws(SystemError) {
    try mknodat(directory, name, kind: .fifo, mode: 0o600)
}
