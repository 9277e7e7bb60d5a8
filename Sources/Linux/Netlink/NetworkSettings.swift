import Glibc
import Synchronization
import SystemPackage

/// The kernel's settings below `/proc/sys/net`, of the calling thread's network namespace.
public enum NetworkSettings {
    /// `ipv4/ip_forward`; nil when there is no such setting, for instance without IPv6 or for a device that is gone.
    public static func read(_ name: String) throws(SystemError) -> Int? {
        do {
            let text = String(decoding: try open(name, O_RDONLY).readAll(limit: 4096), as: UTF8.self)
            return Int(text.prefix { !$0.isWhitespace })
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    public static func write(_ name: String, _ value: Int) throws(SystemError) { try write(name, "\(value)") }

    public static func write(_ name: String, _ value: String) throws(SystemError) {
        try open(name, O_WRONLY).writeAll(Array("\(value)\n".utf8))
    }

    private static func open(_ name: String, _ flags: Int32) throws(SystemError) -> OwnedFD {
        if let procfs = view.withLock({ $0.next() }) {
            do throws(SystemError) {
                let raw = try check("open", "/proc/sys/net/\(name)") { openat(procfs.raw, "sys/net/\(name)", flags | O_CLOEXEC) }
                withExtendedLifetime(procfs) {}
                return OwnedFD(adopting: raw)
            } catch {
                // Somebody's policy may have it that only the host's is for use.
                guard [.permissionDenied, .notPermitted].contains(error.errno) else { throw error }
                view.withLock { $0.end() }
            }
        }
        return OwnedFD(adopting: try check("open", "/proc/sys/net/\(name)") { Glibc.open("/proc/sys/net/\(name)", flags | O_CLOEXEC) })
    }

    private static let view = Mutex(View())

    /// A procfs of our own. One that lives on remembers `ipv4` and `ipv6` of every network namespace that was looked at, all in
    /// one chain that each look into a new one goes through from end to end: milliseconds where there are a thousand. This one
    /// is left for a new one in time.
    private struct View {
        private var procfs: SharedFD?
        private var looks = 0

        private var isAllowed = true

        private static let most = 500

        /// None from here on.
        mutating func end() { (procfs, isAllowed) = (nil, false) }

        /// Nil where we may not have one.
        mutating func next() -> SharedFD? {
            guard isAllowed else { return nil }
            if looks == 0 { procfs = try? SharedFD(Mount.filesystem(type: "proc")) }  // The host's does as well.
            looks = (looks + 1) % Self.most
            return procfs
        }
    }
}
