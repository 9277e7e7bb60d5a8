import CLinux
import Glibc

/// A signal by number, with the names that `kill` and Docker accept.
public struct Signal: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    public static let kill = Signal(rawValue: SIGKILL)
    public static let terminate = Signal(rawValue: SIGTERM)
    public static let interrupt = Signal(rawValue: SIGINT)

    /// `KILL`, `SIGKILL`, `sigkill`, `9`, `RTMIN+3`; nil for what names no signal of this system.
    public init?(_ text: String) {
        if let number = Int32(text) {
            guard (1...64).contains(number) else { return nil }
            self.init(rawValue: number)
            return
        }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let index = Self.names.firstIndex(of: name) {
            self.init(rawValue: Int32(index))
        } else if let number = Self.realTime(name) {
            self.init(rawValue: number)
        } else {
            return nil
        }
    }

    /// `SIGKILL`
    public var description: String {
        let index = Int(rawValue)
        if Self.names.indices.contains(index), !Self.names[index].isEmpty { return "SIG" + Self.names[index] }
        return rawValue >= Self.firstRealTime ? "SIGRTMIN+\(rawValue - Self.firstRealTime)" : "\(rawValue)"
    }

    /// The C library keeps the kernel's 32 and 33 to itself.
    private static let firstRealTime: Int32 = 34
    private static let lastRealTime: Int32 = 64

    private static func realTime(_ name: String) -> Int32? {
        switch name {
        case "RTMIN": return firstRealTime
        case "RTMAX": return lastRealTime
        case _ where name.hasPrefix("RTMIN+"):
            guard let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) else { return nil }
            return firstRealTime + offset
        case _ where name.hasPrefix("RTMAX-"):
            guard let offset = Int32(name.dropFirst(6)), (0...30).contains(offset) else { return nil }
            return lastRealTime - offset
        default: return nil
        }
    }

    /// Index is the number; signal(7), x86 and ARM.
    private static let names = [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]
}
