/// What holds for one mount, as opposed to its whole file system: the `MOUNT_ATTR_*` bits of mount_setattr(2).
public struct MountAttributes: OptionSet, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let readOnly = MountAttributes(rawValue: 0x01)
    public static let noSetUserID = MountAttributes(rawValue: 0x02)
    public static let noDevices = MountAttributes(rawValue: 0x04)
    public static let noExecution = MountAttributes(rawValue: 0x08)
    /// All bits of the access time field; `relatime` is the field's zero.
    public static let accessTimes = MountAttributes(rawValue: 0x70)
    public static let noAccessTime = MountAttributes(rawValue: 0x10)
    public static let strictAccessTime = MountAttributes(rawValue: 0x20)
    public static let noDirectoryAccessTime = MountAttributes(rawValue: 0x80)
    public static let noFollowLinks = MountAttributes(rawValue: 0x200000)
}

/// How mounting and unmounting below a mount spreads to its copies (mount_namespaces(7)).
public enum MountPropagation: UInt64, Sendable {
    case unbindable = 0x20000
    case isPrivate = 0x40000
    case slave = 0x80000
    case shared = 0x100000
}
