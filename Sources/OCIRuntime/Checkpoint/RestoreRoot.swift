import Linux
import OCI
import SystemPackage

/// The root directory of a container that CRIU restores, as a mount at a place of its own: CRIU wants it to be one, and the
/// mount above it not to be covered. It is made in a mount namespace that only CRIU sees, so that it goes with CRIU whatever
/// happens; the runtime comes back to its own.
struct RestoreRoot {
    let spec: RuntimeSpec
    let options: [MountOptions]
    let bundle: FilePath
    /// A directory that is made; it goes with the container's.
    let place: FilePath

    func with<T>(_ start: () throws -> T) throws -> T {
        let host = try OwnedFD.open("/proc/self/ns/mnt", .readOnly)
        let here = try OwnedFD.open(".", [.path, .directory])
        try makeDirectories(place, mode: 0o755)
        try Namespaces.mount.unshare()
        let result = Result { () throws -> T in
            try Mount.setAttributes(try OwnedFD.open("/", [.path, .directory]), propagation: .slave, recursive: true)
            try makeTargets()
            let root = try openRoot()
            if spec.root.readonly { try Mount.setAttributes(root, set: .readOnly) }
            try Mount.attach(root, to: try OwnedFD.open(place, [.path, .directory]))
            return try start()
        }
        try Namespaces.mount.join(host)
        try Identity.changeDirectory(here)
        return try result.get()
    }

    private func openRoot() throws -> OwnedFD {
        let path = bundle.pushing(FilePath(spec.root.path))
        do {
            return try Mount.clone(of: path, recursive: true)
        } catch {
            throw LaunchError(message: "invalid rootfs: \(path): \(error.errno.goText)")
        }
    }

    /// Makes what the mounts of the configuration lie on, as a start does, where it is missing. CRIU fills file systems that
    /// are the container's own; in those of the host places may lie inside each other.
    private func makeTargets() throws {
        let root = try openRoot()
        try Mount.attach(root, to: try OwnedFD.open(place, [.path, .directory]))
        var own: [FilePath] = []
        for (mount, options) in zip(spec.mounts, options) where !options.isRemount {
            let destination = FilePath(mount.destination).lexicallyNormalized()
            if own.contains(where: { destination.starts(with: $0) && destination != $0 }) { continue }
            do {
                if options.isBind {
                    let source = try Mount.clone(of: bundle.pushing(FilePath(mount.source ?? "")), recursive: options.isRecursive)
                    let isDirectory = try fstat(source).kind == .directory
                    let target =
                        isDirectory ? try MountTarget.directory(mount.destination, root: root) : try MountTarget.file(mount.destination, root: root)
                    try Mount.attach(source, to: target)
                } else {
                    _ = try MountTarget.directory(mount.destination, root: root)
                    own.append(destination)
                }
            } catch {
                throw LaunchError(message: "error mounting \"\(mount.source ?? "")\" to rootfs at \"\(mount.destination)\": \(error)")
            }
        }
        try Mount.detach(root)
    }
}
