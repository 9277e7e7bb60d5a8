import CLinux
import Glibc
public import SystemPackage

/// Mounts as descriptors: made detached, changed, then attached to a place that is a descriptor as well.
///
/// A detached mount vanishes with its last descriptor, so nothing is left behind when a step fails.
public enum Mount {
    /// A new overlay of layers that stand on disk, the topmost first in `lower`. Without `upper` it is read-only.
    ///
    /// `options` are further overlayfs options (`volatile`, `name=value`). Inode redirection, metadata-only copies and the
    /// index stay off: a layer must not be able to point at what lies outside it.
    public static func overlay(
        lower: [FilePath], upper: FilePath?, work: FilePath?, options: [String] = [], attributes: MountAttributes = []
    ) throws(SystemError) -> OwnedFD {
        let context = try openContext("overlay")
        try configure(context, "source", "overlay")
        for path in lower { try configure(context, "lowerdir+", path.string) }
        if let upper { try configure(context, "upperdir", upper.string) }
        if let work { try configure(context, "workdir", work.string) }
        for (key, value) in [("redirect_dir", "off"), ("metacopy", "off"), ("index", "off")] {
            try configure(context, key, value)
        }
        for option in options { try configure(context, option: option) }
        return try mount(context, "overlay", attributes)
    }

    /// A new file system: `tmpfs`, `proc`, `sysfs`, `devpts`, `mqueue`, `cgroup2` and so on. `options` are those of the
    /// file system itself, as `flag` or `name=value`. proc, sysfs, mqueue and the cgroups show the caller's namespaces.
    public static func filesystem(
        type: String, source: String? = nil, options: [String] = [], attributes: MountAttributes = []
    ) throws(SystemError) -> OwnedFD {
        let context = try openContext(type)
        try configure(context, "source", source ?? type)
        for option in options { try configure(context, option: option) }
        return try mount(context, type, attributes)
    }

    /// A detached copy of the mount that `place` lies in, starting at `place` (a bind mount that is nowhere yet).
    /// `recursive` takes along what is mounted below.
    public static func clone(of place: borrowing OwnedFD, recursive: Bool) throws(SystemError) -> OwnedFD {
        try openTree(place.raw, "", flags: openTreeClone | (recursive ? atRecursive : 0) | atEmptyPath)
    }

    /// The same for a path that the program was configured with, on the host.
    public static func clone(of path: FilePath, recursive: Bool) throws(SystemError) -> OwnedFD {
        try openTree(AT_FDCWD, path.string, flags: openTreeClone | (recursive ? atRecursive : 0))
    }

    /// Changes options of the file system that is mounted at a place, for everybody who has it mounted (remount).
    public static func reconfigure(_ place: borrowing OwnedFD, options: [String]) throws(SystemError) {
        let raw = place.raw
        let context = OwnedFD(adopting: try check("fspick") { clinux_fspick(raw, "", 0x1 | 0x8) })
        for option in options { try configure(context, option: option) }
        let configuration = context.raw
        try check("fsconfig reconfigure") { clinux_fsconfig(configuration, 7, nil, nil, 0) }
    }

    /// Puts a detached mount onto a place, which has to be a directory for a directory and a file for a file.
    /// The descriptor stays usable and then is the attached mount's root.
    public static func attach(_ mount: borrowing OwnedFD, to target: borrowing OwnedFD) throws(SystemError) {
        let (from, to) = (mount.raw, target.raw)
        try check("move_mount") { clinux_move_mount(from, "", to, "", 0x04 | 0x40) }
    }

    /// Changes the attributes of the mount whose root `mount` is.
    public static func setAttributes(
        _ mount: borrowing OwnedFD, set: MountAttributes = [], clear: MountAttributes = [],
        propagation: MountPropagation? = nil, recursive: Bool = false
    ) throws(SystemError) {
        // The access time settings are one field of several bits, so that the old value has to be cleared first.
        let cleared = set.isDisjoint(with: .accessTimes) ? clear : clear.union(.accessTimes)
        let raw = mount.raw
        try check("mount_setattr") {
            clinux_mount_setattr(
                raw, "", atEmptyPath | (recursive ? atRecursive : 0), set.rawValue, cleared.rawValue,
                propagation?.rawValue ?? 0, 0)
        }
    }

    /// Maps the owners of a detached mount through a user namespace (an idmapped mount).
    public static func setIDMapping(_ mount: borrowing OwnedFD, userNamespace: borrowing OwnedFD, recursive: Bool = false)
        throws(SystemError)
    {
        let (raw, namespace) = (mount.raw, UInt64(userNamespace.raw))
        try check("mount_setattr idmap") {
            clinux_mount_setattr(raw, "", atEmptyPath | (recursive ? atRecursive : 0), 0x100000, 0, 0, namespace)
        }
    }

    /// Takes the topmost mount at `path` out of the tree, at once, even if it is in use (`MNT_DETACH`).
    public static func detach(_ path: FilePath) throws(SystemError) {
        try check("umount", path.string) {
            path.withPlatformString { umount2($0, Int32(MNT_DETACH) | umountNoFollow) }
        }
    }

    /// The same for the mount whose root the descriptor is. It goes by way of `/proc/self/fd`, so that the host's procfs
    /// has to be there.
    public static func detach(_ mount: borrowing OwnedFD) throws(SystemError) {
        let path = "/proc/self/fd/\(mount.raw)"
        try check("umount", path) { umount2(path, Int32(MNT_DETACH)) }
    }

    /// The same where the host's procfs is out of sight: `descriptors` is its `/proc/self/fd`, where the process stands afterwards.
    public static func detach(_ mount: borrowing OwnedFD, by descriptors: borrowing OwnedFD) throws(SystemError) {
        try Identity.changeDirectory(descriptors)
        let name = "\(mount.raw)"
        try check("umount", name) { umount2(name, Int32(MNT_DETACH)) }
    }

    /// Takes the mount on a name in a directory out of the tree. `EBUSY` when it is in use, unless `lazily`: then it is gone from
    /// the tree at once, and stays for those who have it open. The process stands in the directory afterwards.
    public static func detach(_ name: String, in directory: borrowing OwnedFD, lazily: Bool) throws(SystemError) {
        try Identity.changeDirectory(directory)
        try check("umount", name) { umount2(name, (lazily ? Int32(MNT_DETACH) : 0) | umountNoFollow) }
    }

    /// The number of the mount that a place lies in, as `mountinfo` has it, and whether it begins there. A name is of something
    /// in the directory, without one it is the descriptor's own place.
    public static func number(of place: borrowing OwnedFD, _ name: String = "") throws(SystemError) -> (number: UInt64, isItsRoot: Bool) {
        let raw = place.raw
        var number: UInt64 = 0
        let isRoot = try check("statx", name) { clinux_mount_id(raw, name, &number) }
        return (number, isRoot == 1)
    }

    private static func openTree(_ directory: Int32, _ path: String, flags: UInt32) throws(SystemError) -> OwnedFD {
        let wanted = flags | UInt32(bitPattern: O_CLOEXEC)
        return OwnedFD(adopting: try check("open_tree", path) { clinux_open_tree(directory, path, wanted) })
    }

    private static func openContext(_ type: String) throws(SystemError) -> OwnedFD {
        OwnedFD(adopting: try check("fsopen", type) { clinux_fsopen(type, 0x1) })
    }

    private static func configure(_ context: borrowing OwnedFD, option: String) throws(SystemError) {
        guard let equals = option.firstIndex(of: "=") else {
            let raw = context.raw
            try check("fsconfig", option) { clinux_fsconfig(raw, 0, option, nil, 0) }
            return
        }
        try configure(context, String(option[..<equals]), String(option[option.index(after: equals)...]))
    }

    private static func configure(_ context: borrowing OwnedFD, _ key: String, _ value: String) throws(SystemError) {
        let raw = context.raw
        try check("fsconfig", "\(key)=\(value)") { clinux_fsconfig(raw, 1, key, value, 0) }
    }

    private static func mount(_ context: borrowing OwnedFD, _ type: String, _ attributes: MountAttributes)
        throws(SystemError) -> OwnedFD
    {
        let raw = context.raw
        try check("fsconfig create", type) { clinux_fsconfig(raw, 6, nil, nil, 0) }
        return OwnedFD(
            adopting: try check("fsmount", type) { clinux_fsmount(raw, 0x1, UInt32(attributes.rawValue)) })
    }
}

private let openTreeClone: UInt32 = 0x1
private let atRecursive: UInt32 = 0x8000
private let atEmptyPath: UInt32 = 0x1000
private let umountNoFollow: Int32 = 0x8
