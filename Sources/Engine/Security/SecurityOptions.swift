import Linux
import SystemPackage

/// `--security-opt`, in Docker's words: `KEY=VALUE`, or `KEY:VALUE` as long ago.
struct SecurityOptions {
    enum Seccomp {
        /// Docker's default profile.
        case builtIn
        case unconfined
        case profile(SeccompProfileFile)
    }

    var noNewPrivileges = false
    var seccomp = Seccomp.builtIn
    /// The container may write to its own cgroups.
    var writableCgroups = false
    /// nil: the kernel decides.
    var appArmorProfile: String?

    init(_ options: [String]) throws(EngineError) {
        for option in options { try set(option) }
    }

    private mutating func set(_ option: String) throws(EngineError) {
        if option == "no-new-privileges" { return noNewPrivileges = true }
        guard let mark = option.firstIndex(of: "=") ?? option.firstIndex(of: ":") else {
            throw EngineError(.invalidArgument, "invalid --security-opt 1: \"\(option.prefix(80))\"")
        }
        let value = String(option[option.index(after: mark)...])
        let invalid = EngineError(.invalidArgument, "invalid --security-opt 2: \"\(option.prefix(80))\"")
        switch option[..<mark] {
        case "no-new-privileges":
            guard let flag = Self.flag(value) else { throw invalid }
            noNewPrivileges = flag
        case "writable-cgroups":
            guard let flag = Self.flag(value) else { throw invalid }
            writableCgroups = flag
        case "seccomp": seccomp = try Self.seccomp(value)
        case "apparmor": try setAppArmor(value)
        case "label": try Self.checkLabel(value)
        default: throw invalid
        }
    }

    private static func seccomp(_ value: String) throws(EngineError) -> Seccomp {
        switch value {
        case "unconfined": return .unconfined
        case "builtin", "": return .builtIn
        default:
            do {
                return .profile(try SeccompProfileFile(Array(value.utf8)))
            } catch {
                throw EngineError(.invalidArgument, "Decoding seccomp profile failed: \(error)")
            }
        }
    }

    private mutating func setAppArmor(_ value: String) throws(EngineError) {
        let isKnown = Self.exists("/sys/kernel/security/apparmor")
        if value == "unconfined" || value.isEmpty { return appArmorProfile = isKnown && !value.isEmpty ? value : nil }
        guard isKnown else {
            throw EngineError(.invalidArgument, "apparmor=\(value.prefix(80)): AppArmor is not enabled on this host")
        }
        appArmorProfile = value
    }

    /// The engine gives no labels, so that turning them off changes nothing.
    private static func checkLabel(_ value: String) throws(EngineError) {
        if value == "disable" || value == "nested" && !exists("/sys/fs/selinux/enforce") { return }
        let known = ["user:", "role:", "type:", "level:", "filetype:"]
        guard value == "nested" || known.contains(where: { value.hasPrefix($0) }) else {
            throw EngineError(
                .invalidArgument, "bad label option \"\(value.prefix(80))\", valid options 'disable, user, role, level, type, filetype, nested'")
        }
        guard exists("/sys/fs/selinux/enforce") else {
            throw EngineError(.invalidArgument, "label=\(value.prefix(80)): SELinux is not enabled on this host")
        }
        throw EngineError(.notImplemented, "SELinux labels of one's own are not available in this version of Skiff")
    }

    private static func exists(_ path: FilePath) -> Bool {
        (try? lstatIfExists(path)) ?? nil != nil  // What cannot be looked at is not there for us either.
    }

    private static func flag(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}
