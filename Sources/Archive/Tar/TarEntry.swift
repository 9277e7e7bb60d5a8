public import Linux

/// One entry of a tar archive, all extensions resolved. Names are bytes, as they stand in the archive.
public struct TarEntry: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case file, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
    }

    public var path: [UInt8]
    public var kind: Kind
    /// Of the content once written, holes included; 0 for all but files.
    public var size: Int64
    /// Permissions with setuid, setgid and the sticky bit.
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32
    public var modified: FileMetadata.Time
    /// What a symbolic link says, or the path of the entry that a hard link is another name of.
    public var linkTarget: [UInt8]
    public var deviceMajor: UInt32
    public var deviceMinor: UInt32
    public var attributes: [TarAttribute]
    /// Where the parts of the content belong in the file; nil when it has no holes.
    public var segments: [SparseSegment]?

    public init(
        path: [UInt8], kind: Kind, size: Int64 = 0, mode: UInt32 = 0o644, uid: UInt32 = 0, gid: UInt32 = 0,
        modified: FileMetadata.Time = .init(seconds: 0), linkTarget: [UInt8] = [], deviceMajor: UInt32 = 0,
        deviceMinor: UInt32 = 0, attributes: [TarAttribute] = [], segments: [SparseSegment]? = nil
    ) {
        self.path = path
        self.kind = kind
        self.size = size
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.modified = modified
        self.linkTarget = linkTarget
        self.deviceMajor = deviceMajor
        self.deviceMinor = deviceMinor
        self.attributes = attributes
        self.segments = segments
    }

    /// For messages.
    public var displayPath: String { String(decoding: path, as: UTF8.self) }
}

/// An extended attribute of a file.
public struct TarAttribute: Sendable, Hashable {
    public var name: String
    public var value: [UInt8]

    public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

extension TarAttribute {
    /// Whether the attribute belongs to the file wherever it is: capabilities, access lists, what users and programs note.
    /// Not the notes by which an overlay is controlled, and not this machine's security labels and signatures.
    var travels: Bool {
        switch name {
        case "security.capability", "system.posix_acl_access", "system.posix_acl_default": true
        default:
            (name.hasPrefix("user.") && !name.hasPrefix("user.overlay."))
                || (name.hasPrefix("trusted.") && !name.hasPrefix("trusted.overlay."))
        }
    }
}

/// A part of a file that is not a hole.
public struct SparseSegment: Sendable, Hashable {
    public var offset: Int64
    public var length: Int64

    public init(offset: Int64, length: Int64) {
        self.offset = offset
        self.length = length
    }
}
