import Linux
import SystemPackage

/// Paths of the kernel's file systems that a container must not read, or not write. Each is looked at again by its path
/// after it was covered: if anybody has exchanged what lies there meanwhile, the container does not start.
enum HiddenPaths {
    /// Covers directories with an empty file system and files with the null device. Missing paths are fine.
    static func mask(_ paths: [String], root: borrowing OwnedFD) throws {
        guard !paths.isEmpty else { return }
        let null = try openNull(root)
        var isAttached = false
        let empty = try Mount.filesystem(
            type: "tmpfs", options: ["mode=555"], attributes: [.readOnly, .noSetUserID, .noDevices, .noExecution])
        let emptyDevice = try fstat(empty).device
        for path in paths {
            guard let target = try open(path, root: root) else { continue }
            if try fstat(target).kind != .directory {
                try Mount.attach(try Mount.clone(of: null, recursive: false), to: target)
            } else if isAttached {
                try Mount.attach(try Mount.clone(of: empty, recursive: false), to: target)
            } else {
                try Mount.attach(empty, to: target)
                isAttached = true
            }
            guard let covered = try open(path, root: root) else { throw notInForce("maskedPaths", path) }
            let status = try fstat(covered)
            guard isNull(status) || (status.kind == .directory && status.device == emptyDevice) else {
                throw notInForce("maskedPaths", path)
            }
        }
    }

    /// Mounts what lies there on itself, read-only.
    static func makeReadOnly(_ paths: [String], root: borrowing OwnedFD) throws {
        for path in paths {
            guard let target = try open(path, root: root) else { continue }
            let copy = try Mount.clone(of: target, recursive: true)
            try Mount.setAttributes(copy, set: .readOnly, recursive: true)
            try Mount.attach(copy, to: target)
            guard let covered = try open(path, root: root), try isReadOnly(covered) else {
                throw notInForce("readonlyPaths", path)
            }
        }
    }

    private static func notInForce(_ field: String, _ path: String) -> LaunchError {
        LaunchError(message: "\(field): \(path) is not covered after it was mounted")
    }

    private static func open(_ path: String, root: borrowing OwnedFD) throws(SystemError) -> OwnedFD? {
        do {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return nil
        }
    }

    /// The container's own null device, and no other file that somebody put in its place.
    private static func openNull(_ root: borrowing OwnedFD) throws -> OwnedFD {
        let null = try PathInRoot.open("/dev/null", root: root, flags: [.path, .noFollow])
        guard isNull(try fstat(null)) else {
            throw LaunchError(message: "/dev/null of the container is not the null device")
        }
        return null
    }

    private static func isNull(_ status: FileMetadata) -> Bool {
        status.kind == .characterDevice && status.deviceMajor == 1 && status.deviceMinor == 3
    }
}
