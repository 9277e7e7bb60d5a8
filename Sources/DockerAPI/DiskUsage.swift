// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// What takes space on the disk of the engine.
public struct SystemDataUsageResponse: Codable, Sendable, Equatable {
    public var LayersSize: Int64?
    public var Images: [ImageSummary]?
    public var Containers: [ContainerSummary]?
    public var Volumes: [Volume]?
    public var BuildCache: [BuildCache]?

    public init() {}
}

/// One entry of the build cache.
public struct BuildCache: Codable, Sendable, Equatable {
    public var ID: String?
    public var Parents: [String]?
    public var `Type`: String?
    public var Description: String?
    public var InUse: Bool?
    public var Shared: Bool?
    public var Size: Int64?
    public var CreatedAt: String?
    public var LastUsedAt: String?
    public var UsageCount: Int?

    public init() {}
}

/// What pruning containers removed.
public struct ContainersPruneResponse: Codable, Sendable, Equatable {
    public var ContainersDeleted: [String]?
    public var SpaceReclaimed: Int64?

    public init() {}
}

/// What pruning images removed.
public struct ImagesPruneResponse: Codable, Sendable, Equatable {
    public var ImagesDeleted: [ImageDeleteResponseItem]?
    public var SpaceReclaimed: Int64?

    public init() {}
}

/// What pruning volumes removed.
public struct VolumesPruneResponse: Codable, Sendable, Equatable {
    public var VolumesDeleted: [String]?
    public var SpaceReclaimed: Int64?

    public init() {}
}

/// What pruning networks removed.
public struct NetworksPruneResponse: Codable, Sendable, Equatable {
    public var NetworksDeleted: [String]?

    public init() {}
}

/// What pruning the build cache removed.
public struct BuildCachePruneResponse: Codable, Sendable, Equatable {
    public var CachesDeleted: [String]?
    public var SpaceReclaimed: Int64?

    public init() {}
}
