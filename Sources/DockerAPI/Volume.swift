// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// One volume.
public struct Volume: Codable, Sendable, Equatable {
    public var Name: String?
    public var Driver: String?
    public var Mountpoint: String?
    public var CreatedAt: String?
    public var Labels: [String: String]?
    public var Scope: String?
    public var Options: [String: String]?
    public var UsageData: UsageData?

    public init() {}

    /// What a volume uses; -1 is unknown.
    public struct UsageData: Codable, Sendable, Equatable {
        public var Size: Int64?
        public var RefCount: Int64?

        public init() {}
    }
}

/// The body of `POST /volumes/create`.
public struct VolumeCreateRequest: Codable, Sendable, Equatable {
    public var Name: String?
    public var Driver: String?
    public var DriverOpts: [String: String]?
    public var Labels: [String: String]?

    public init() {}
}

/// All volumes.
public struct VolumeListResponse: Codable, Sendable, Equatable {
    public var Volumes: [Volume]?
    public var Warnings: [String]?

    public init() {}
}
