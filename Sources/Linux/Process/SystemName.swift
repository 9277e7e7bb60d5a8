import CLinux
import Glibc

/// What the running kernel calls itself and the machine (uname(2)).
public struct SystemName: Sendable {
    public let hostname: String
    public let release: String
    public let machine: String

    public static func current() -> SystemName {
        var name = utsname()
        uname(&name)
        return SystemName(
            hostname: text(name.nodename), release: text(name.release), machine: text(name.machine))
    }

    /// Processors that the kernel schedules on now.
    public static func onlineProcessors() -> Int {
        max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    private static func text<T>(_ field: T) -> String {
        withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
