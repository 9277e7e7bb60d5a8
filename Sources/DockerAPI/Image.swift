// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// One image in a list.
public struct ImageSummary: Codable, Sendable, Equatable {
    public var Id: String?
    public var ParentId: String?
    public var RepoTags: [String]?
    public var RepoDigests: [String]?
    public var Created: Int64?
    public var Size: Int64?
    public var SharedSize: Int64?
    public var Labels: [String: String]?
    public var Containers: Int64?
    public var Descriptor: OCIDescriptor?

    public init() {}
}

/// Everything about one image.
public struct ImageInspect: Codable, Sendable, Equatable {
    public var Id: String?
    public var Descriptor: OCIDescriptor?
    public var RepoTags: [String]?
    public var RepoDigests: [String]?
    public var Parent: String?
    public var Comment: String?
    public var Created: String?
    public var DockerVersion: String?
    public var Author: String?
    public var Config: ImageConfigResponse?
    public var Architecture: String?
    public var Variant: String?
    public var Os: String?
    public var OsVersion: String?
    public var Size: Int64?
    public var VirtualSize: Int64?
    public var GraphDriver: DriverData?
    public var RootFS: RootFS?
    public var Metadata: Metadata?

    public init() {}

    /// The layers of an image by diff id, base first.
    public struct RootFS: Codable, Sendable, Equatable {
        public var `Type`: String?
        public var Layers: [String]?

        public init() {}
    }

    /// What the engine knows about an image beside its content.
    public struct Metadata: Codable, Sendable, Equatable {
        public var LastTagTime: String?
        /// Ours: when a container or a build last began with the image.
        public var LastUsedTime: String?

        public init() {}
    }
}

/// The defaults that an image gives its containers: the `Config` of an image.
public struct ImageConfigResponse: Codable, Sendable, Equatable {
    public var User: String?
    public var ExposedPorts: [String: EmptyObject]?
    public var Env: [String]?
    public var Cmd: StrSlice?
    public var Healthcheck: HealthConfig?
    public var ArgsEscaped: Bool?
    public var Volumes: [String: EmptyObject]?
    public var WorkingDir: String?
    public var Entrypoint: StrSlice?
    public var OnBuild: [String]?
    public var Labels: [String: String]?
    public var StopSignal: String?
    public var Shell: StrSlice?

    public init() {}
}

/// One step of the history of an image.
public struct HistoryResponseItem: Codable, Sendable, Equatable {
    public var Id: String?
    public var Created: Int64?
    public var CreatedBy: String?
    public var Tags: [String]?
    public var Size: Int64?
    public var Comment: String?

    public init() {}
}

/// A name or an image that was removed.
public struct ImageDeleteResponseItem: Codable, Sendable, Equatable {
    public var Untagged: String?
    public var Deleted: String?

    public init() {}
}

/// An OCI content descriptor.
public struct OCIDescriptor: Codable, Sendable, Equatable {
    public var mediaType: String?
    public var digest: String?
    public var size: Int64?
    public var urls: [String]?
    public var annotations: [String: String]?
    public var data: String?
    public var platform: OCIPlatform?
    public var artifactType: String?

    public init() {}
}

/// An OCI platform.
public struct OCIPlatform: Codable, Sendable, Equatable {
    public var architecture: String?
    public var os: String?
    public var variant: String?

    public init() {}
}
