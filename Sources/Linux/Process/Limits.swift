import CLinux
import Glibc

/// A limit of setrlimit(2) by its name in the OCI specification, `RLIMIT_NOFILE` and so on.
public struct ResourceLimit: Sendable, Equatable {
    let number: Int32

    /// nil for a name that Linux does not have.
    public init?(name: String) {
        guard name.hasPrefix("RLIMIT_"), let index = Self.names.firstIndex(of: String(name.dropFirst(7))) else { return nil }
        number = Int32(index)
    }

    /// In the order of their numbers on x86-64 and arm64 (`asm-generic/resource.h`).
    private static let names = [
        "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
        "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
    ]

    /// Sets the limit for the calling process; nil is none.
    public func set(soft: UInt64?, hard: UInt64?) throws(SystemError) {
        let number = number
        try check("setrlimit", "RLIMIT_\(Self.names[Int(number)])") {
            clinux_setrlimit(number, soft ?? .max, hard ?? .max)
        }
    }
}
