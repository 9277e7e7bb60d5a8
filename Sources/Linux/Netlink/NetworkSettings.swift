import SystemPackage

/// The kernel's settings below `/proc/sys/net`, of the calling thread's network namespace.
public enum NetworkSettings {
    /// `ipv4/ip_forward`; nil when there is no such setting, for instance without IPv6 or for a device that is gone.
    public static func read(_ name: String) throws(SystemError) -> Int? {
        do {
            let file = try OwnedFD.open(path(name), .readOnly)
            let text = String(decoding: try file.readAll(limit: 4096), as: UTF8.self)
            return Int(text.prefix { !$0.isWhitespace })
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    public static func write(_ name: String, _ value: Int) throws(SystemError) { try write(name, "\(value)") }

    public static func write(_ name: String, _ value: String) throws(SystemError) {
        try OwnedFD.open(path(name), .writeOnly).writeAll(Array("\(value)\n".utf8))
    }

    private static func path(_ name: String) -> FilePath {
        FilePath("/proc/sys/net/\(name)")
    }
}
