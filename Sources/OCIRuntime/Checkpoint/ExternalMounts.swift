import Linux
import OCI
import SystemPackage

/// Mounts of a container that CRIU does not restore by itself: what comes from the host. In the images they have names, as
/// runc gives them; the configuration says what they are.
struct ExternalMounts {
    let spec: RuntimeSpec

    private static let nullName = "/dev/null"

    /// Of a dump: the places in the container of `pid`, with their names.
    func putPlaces(_ pid: Int32, _ options: inout ProtobufMessage) throws {
        let root = try OwnedFD.open(FilePath("/proc/\(pid)/root"), [.path, .directory])
        for name in binds.map({ Self.name($0) }) {
            Self.put(try Self.place(name, root) ?? name, name, &options)
        }
        for path in spec.linux.maskedPaths {
            guard let target = try Self.open(path, root), try fstat(target).kind != .directory else { continue }
            Self.put(try realPath(of: target).string, Self.nullName, &options)
        }
    }

    /// Of a restore: the names, with what is to be bound.
    func putSources(bundle: FilePath, _ options: inout ProtobufMessage) {
        for bind in binds { Self.put(Self.name(bind), bundle.pushing(FilePath(bind.source ?? "")).string, &options) }
        if !spec.linux.maskedPaths.isEmpty { Self.put(Self.nullName, Self.nullName, &options) }
    }

    private var binds: [RuntimeSpec.Mount] {
        spec.mounts.filter { mount in
            let options = MountOptions(mount.options, type: mount.type)
            return options.isBind && !options.isRemount
        }
    }

    private static func name(_ mount: RuntimeSpec.Mount) -> String {
        FilePath(mount.destination).lexicallyNormalized().string
    }

    /// Where a path leads to, without links on the way.
    private static func place(_ path: String, _ root: borrowing OwnedFD) throws -> String? {
        guard let target = try open(path, root) else { return nil }
        return try realPath(of: target).string
    }

    private static func open(_ path: String, _ root: borrowing OwnedFD) throws -> OwnedFD? {
        do {
            return try PathInRoot.open(path, root: root, flags: .path)
        } catch {
            if error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory { return nil }
            throw error
        }
    }

    /// `ext_mount_map`: in a dump a place and its name, in a restore a name and a source.
    private static func put(_ key: String, _ value: String, _ options: inout ProtobufMessage) {
        var mount = ProtobufMessage()
        mount.put(1, key)
        mount.put(2, value)
        options.put(23, mount)
    }
}
