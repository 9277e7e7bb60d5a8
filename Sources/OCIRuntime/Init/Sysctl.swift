import Linux
import OCI

/// Settings of the kernel that belong to a namespace of the container. All others are refused.
enum Sysctl {
    static func apply(_ settings: [String: String], namespaces: Namespaces) throws {
        guard !settings.isEmpty else { return }
        // A procfs of our own, since what lies at /proc may be anything by now.
        let procfs = try Procfs()
        for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
            let path = try path(of: key, namespaces: namespaces)
            do throws(SystemError) {
                try procfs.open("/sys/\(path)", .writeOnly).writeAll(Array(value.utf8))
            } catch {
                throw LaunchError(message: "sysctl \"\(key)\": \(error.errno.goText)")
            }
        }
    }

    /// `net.ipv4.ip_forward` as well as `net/ipv4/ip_forward` is `net/ipv4/ip_forward`; the separator that comes first
    /// counts, the other one stands for itself with both exchanged.
    static func path(of key: String, namespaces: Namespaces) throws(LaunchError) -> String {
        let isPlain = key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-/".utf8.contains(byte)
            }
        }
        let slashed = key.first { $0 == "." || $0 == "/" } == "/"
        let path = String(slashed ? Array(key) : key.map { $0 == "." ? "/" : $0 == "/" ? "." : $0 })
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard isPlain, !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
            throw LaunchError(message: "sysctl \"\(key)\" is malformed")
        }
        guard let owner = owner(of: path) else {
            throw LaunchError(message: "sysctl \"\(key)\" is not in a separate kernel namespace")
        }
        guard namespaces.contains(owner) else {
            throw LaunchError(message: "sysctl \"\(key)\" is not allowed in the host's namespace")
        }
        return path
    }

    private static func owner(of path: String) -> Namespaces? {
        let ipc: Set = [
            "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax",
            "kernel/shmmni", "kernel/shm_rmid_forced",
        ]
        if ipc.contains(path) || path.hasPrefix("fs/mqueue/") { return .ipc }
        if path.hasPrefix("net/") { return .network }
        if path == "kernel/domainname" { return .uts }
        return nil
    }
}
