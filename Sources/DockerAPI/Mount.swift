// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// A mount that a container asks for (`--mount`): `bind`, `volume`, `tmpfs` or `image`.
public struct Mount: Codable, Sendable, Equatable {
    public var Target: String?
    public var Source: String?
    public var `Type`: String?
    public var ReadOnly: Bool?
    public var Consistency: String?
    public var BindOptions: BindOptions?
    public var VolumeOptions: VolumeOptions?
    public var ImageOptions: ImageOptions?
    public var TmpfsOptions: TmpfsOptions?
    /// How a bind or a volume shows the owners of its files: `owner`, or tables of ids. Docker has no such field.
    public var IDMap: String?

    public init() {}

    /// Options of a bind mount.
    public struct BindOptions: Codable, Sendable, Equatable {
        public var Propagation: String?
        public var NonRecursive: Bool?
        public var CreateMountpoint: Bool?
        public var ReadOnlyNonRecursive: Bool?
        public var ReadOnlyForceRecursive: Bool?

        public init() {}
    }

    /// Options of a volume mount.
    public struct VolumeOptions: Codable, Sendable, Equatable {
        public var NoCopy: Bool?
        public var Labels: [String: String]?
        public var DriverConfig: DriverConfig?
        public var Subpath: String?

        public init() {}
    }

    /// The driver that makes the volume if it does not exist.
    public struct DriverConfig: Codable, Sendable, Equatable {
        public var Name: String?
        public var Options: [String: String]?

        public init() {}
    }

    /// Options of an image mount.
    public struct ImageOptions: Codable, Sendable, Equatable {
        public var Subpath: String?

        public init() {}
    }

    /// Options of a tmpfs mount.
    public struct TmpfsOptions: Codable, Sendable, Equatable {
        public var SizeBytes: Int64?
        public var Mode: Int?
        public var Options: [[String]]?

        public init() {}
    }
}

/// A mount that a container has.
public struct MountPoint: Codable, Sendable, Equatable {
    public var `Type`: String?
    public var Name: String?
    public var Source: String?
    public var Destination: String?
    public var Driver: String?
    public var Mode: String?
    public var RW: Bool?
    public var Propagation: String?

    public init() {}
}
