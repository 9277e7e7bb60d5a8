import CLinux

/// The magic number of the file system that a descriptor lies in (statfs(2)).
public struct FileSystemKind: RawRepresentable, Sendable, Equatable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let proc = FileSystemKind(rawValue: 0x9fa0)
    public static let devpts = FileSystemKind(rawValue: 0x1cd1)
    public static let tmpfs = FileSystemKind(rawValue: 0x0102_1994)
    static let cgroups = FileSystemKind(rawValue: 0x0027_e0eb)
    static let unifiedCgroups = FileSystemKind(rawValue: 0x6367_7270)
    public static let namespaces = FileSystemKind(rawValue: 0x6e73_6673)
    public static let selinux = FileSystemKind(rawValue: 0xf97c_ff8c)
    public static let resourceControl = FileSystemKind(rawValue: 0x0765_5821)

    public init(of descriptor: borrowing OwnedFD) throws(SystemError) {
        let raw = descriptor.raw
        var kind = 0
        try check("fstatfs") { clinux_file_system_kind(raw, &kind) }
        rawValue = kind
    }
}
