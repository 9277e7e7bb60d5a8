import Linux
import OCI
import SystemPackage

/// The security labels of a process: written through a procfs that is one, and read back.
struct Labels {
    let apparmor: String?
    let selinux: String?

    static let noSELinux = LaunchError(
        message: "selinux label is specified in config, but selinux is disabled or not supported")

    /// What the kernel cannot do is refused before anything is made.
    init(_ process: RuntimeSpec.Process) throws(LaunchError) {
        apparmor = process.apparmorProfile.flatMap { $0.isEmpty ? nil : $0 }
        selinux = process.selinuxLabel.flatMap { $0.isEmpty ? nil : $0 }
        for text in [apparmor, selinux] where text?.utf8.contains(where: { $0 == 0 || $0 == 10 }) == true {
            throw LaunchError(message: "a security label has a line break or a zero byte")
        }
        if selinux != nil, !Self.hasSELinux() { throw Self.noSELinux }
        if apparmor != nil, !Self.hasAppArmor() {
            throw LaunchError(message: "apparmor failed to apply profile: apparmor: config provided but apparmor not supported")
        }
    }

    /// Its file system is there only while it is in force.
    static func hasSELinux() -> Bool {
        guard let place = try? OwnedFD.open("/sys/fs/selinux", [.path, .directory]) else { return false }
        return (try? FileSystemKind(of: place)) == .selinux
    }

    private static func hasAppArmor() -> Bool {
        let file = try? OwnedFD.open("/sys/module/apparmor/parameters/enabled", .readOnly)
        return (try? file?.readAll(limit: 16).first) == UInt8(ascii: "Y")
    }

    /// For the next program that the calling process executes.
    func apply() throws(LaunchError) {
        if let apparmor {
            try set("apparmorProfile", "apparmor/exec", "exec \(apparmor)") { text in
                text == apparmor || text.hasPrefix("\(apparmor) (")
            }
        }
        if let selinux {
            try set("selinuxLabel", "keycreate", selinux) { $0 == selinux }
            try set("selinuxLabel", "exec", selinux) { $0 == selinux }
        }
    }

    private func set(_ field: String, _ name: String, _ value: String, _ isRight: (String) -> Bool) throws(LaunchError) {
        do throws(SystemError) {
            let procfs = try Procfs()
            try procfs.open("/thread-self/attr/\(name)", .writeOnly).writeAll(Array(value.utf8))
            let bytes = try procfs.open("/thread-self/attr/\(name)", .readOnly).readAll(limit: 4096)
            let text = String(decoding: bytes.prefix { $0 != 0 && $0 != 10 }, as: UTF8.self)
            guard isRight(text) else {
                throw SystemError(errno: .notPermitted, call: "read back \"\(text)\"")
            }
        } catch {
            let what = field == "apparmorProfile" ? "apparmor failed to apply profile" : "can't set process label"
            throw LaunchError(message: "\(what): \(error)")
        }
    }
}

/// A procfs that nobody can have put anything over: a new one, never attached anywhere.
struct Procfs: ~Copyable {
    private let root: OwnedFD

    init() throws(SystemError) {
        root = try Mount.filesystem(type: "proc", attributes: [.noSetUserID, .noDevices, .noExecution])
    }

    /// A file by its path in procfs. Nothing of another file system can lie on the way.
    func open(_ path: String, _ flags: OpenFlags) throws(SystemError) -> OwnedFD {
        let file = try PathInRoot.open(path, root: root, flags: flags, resolve: .noCrossing)
        guard try FileSystemKind(of: file) == .proc else {
            throw SystemError(errno: .notPermitted, call: "open in procfs", subject: path)
        }
        return file
    }
}
