import CLinux

/// The magic number of the file system that a descriptor lies in (statfs(2)).
public struct FileSystemKind: RawRepresentable, Sendable, Equatable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let proc = FileSystemKind(rawValue: 0x9fa0)
    public static let devpts = FileSystemKind(rawValue: 0x1cd1)

    public init(of descriptor: borrowing OwnedFD) throws(SystemError) {
        let raw = descriptor.raw
        var kind = 0
        try check("fstatfs") { clinux_file_system_kind(raw, &kind) }
        rawValue = kind
    }
}
