import Linux
import SystemPackage

/// Paths of the kernel's file systems that a container must not read, or not write.
enum HiddenPaths {
    /// Covers directories with an empty file system and files with the null device. Missing paths are fine.
    static func mask(_ paths: [String], root: borrowing OwnedFD) throws {
        guard !paths.isEmpty else { return }
        let null = try openNull(root)
        var isAttached = false
        let empty = try Mount.filesystem(
            type: "tmpfs", options: ["mode=555"], attributes: [.readOnly, .noSetUserID, .noDevices, .noExecution])
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
        }
    }

    /// Mounts what lies there on itself, read-only.
    static func makeReadOnly(_ paths: [String], root: borrowing OwnedFD) throws {
        for path in paths {
            guard let target = try open(path, root: root) else { continue }
            let copy = try Mount.clone(of: target, recursive: true)
            try Mount.setAttributes(copy, set: .readOnly, recursive: true)
            try Mount.attach(copy, to: target)
        }
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
        let status = try fstat(null)
        guard status.kind == .characterDevice, status.deviceMajor == 1, status.deviceMinor == 3 else {
            throw LaunchError(message: "/dev/null of the container is not the null device")
        }
        return null
    }
}
