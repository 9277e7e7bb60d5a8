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
    let namespaces: RestoredNamespaces
    /// The label that the caller wants in the place of the configuration's.
    let profile: String?

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
        let rights = RestoredRights(spec)
        let labels = RestoredLabel.all(spec.process, profile: profile)
        for process in [pid] + others {
            let threads = try OwnedFD.open(FilePath("/proc/\(process)/task"), [.readOnly, .directory])
            for thread in try namesInDirectory(threads) { try check(process, thread.description, rights, labels) }
        }
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

    private func check(_ process: Int32, _ thread: String, _ rights: RestoredRights, _ labels: [RestoredLabel]) throws {
        let who = thread == "\(process)" ? "process \(process)" : "thread \(thread) of process \(process)"
        let directory = "/proc/\(process)/task/\(thread)"
        let isFirst = process == pid
        let status = try OwnedFD.open(FilePath("\(directory)/status"), .readOnly).readAll(limit: 65536)
        if let obstacle = rights.obstacle(status, isFirst: isFirst) { throw refusal("\(who) \(obstacle)") }
        for (name, kind) in Namespaces.names {
            let found = try RestoredNamespaces.identity(directory, name)
            if let obstacle = namespaces.obstacle(kind, found, isFirst: isFirst) {
                throw refusal("namespaces: \(name): \(who) \(obstacle)")
            }
        }
        for label in labels {
            // Without the module there is no such file, or it cannot be read: no label is a wrong one.
            let text = try? OwnedFD.open(FilePath("\(directory)/\(label.file)"), .readOnly).readAll(limit: 4096)
            guard let text, label.fits(text) else { throw refusal("\(who) does not have the \(label.module) label \(label.text)") }
        }
    }
}
