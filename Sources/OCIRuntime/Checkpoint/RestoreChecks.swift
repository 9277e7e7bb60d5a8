import Linux
import OCI
import SystemPackage

/// Looks at a restored container before it runs. Images say what is mounted and what rights a process has; the configuration
/// says what may be.
struct RestoreChecks {
    let spec: RuntimeSpec
    /// The first process, which is stopped as all of them are.
    let pid: Int32
    /// All others of the container's group.
    let others: [Int32]

    func run() throws {
        let root = try OwnedFD.open(FilePath("/proc/\(pid)/root"), [.path, .directory])
        if spec.root.readonly, try !isReadOnly(root) { throw refusal("root.readonly: the root can be written") }
        for path in spec.linux.readonlyPaths {
            guard let place = try Self.open(path, root) else { continue }
            if try !isReadOnly(place) { throw refusal("readonlyPaths: \(path) can be written") }
        }
        for path in spec.linux.maskedPaths {
            guard let place = try Self.open(path, root) else { continue }
            if try !isMasked(place) { throw refusal("maskedPaths: \(path) is not covered") }
        }
        try checkRights(pid)
        for other in others { try checkRights(other) }
    }

    private func refusal(_ text: String) -> RuntimeError {
        RuntimeError("the images do not fit the configuration: \(text)")
    }

    private static func open(_ path: String, _ root: borrowing OwnedFD) throws -> OwnedFD? {
        do {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return nil }
            throw error
        }
    }

    private func isMasked(_ place: borrowing OwnedFD) throws -> Bool {
        let status = try fstat(place)
        if status.kind != .directory { return status.kind == .characterDevice && status.deviceMajor == 1 && status.deviceMinor == 3 }
        return try isReadOnly(place) && namesInDirectory(try reopenDirectory(place)).isEmpty
    }

    /// A process has no more rights than the configuration gives to the first one, and the same filter. One that somebody
    /// has given more to (`exec --cap`) does not come back.
    private func checkRights(_ process: Int32) throws {
        let status = try OwnedFD.open(FilePath("/proc/\(process)/status"), .readOnly).readAll(limit: 65536)
        func number(_ name: String, radix: Int = 10) -> UInt64 {
            // What is not there is more than anybody has.
            ProcessFile.value(name, in: status).flatMap { UInt64($0, radix: radix) } ?? .max
        }
        for name in ["CapBnd", "CapPrm", "CapInh", "CapAmb"] where number(name, radix: 16) & ~allowed != 0 {
            throw refusal("process \(process) has capabilities (\(name)) that it does not give")
        }
        if spec.linux.seccomp != nil, number("Seccomp") != 2 { throw refusal("process \(process) has no seccomp filter") }
        if process == pid, spec.process.noNewPrivileges, number("NoNewPrivs") != 1 { throw refusal("noNewPrivileges is not set") }
    }

    private var allowed: UInt64 {
        let sets = spec.process.capabilities ?? RuntimeSpec.Capabilities()
        let names = sets.bounding + sets.permitted + sets.effective + sets.inheritable + sets.ambient
        return names.reduce(0) { mask, name in Capability(name: name).map { mask | 1 << UInt64($0.rawValue) } ?? mask }
    }
}
