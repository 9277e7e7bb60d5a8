// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// How a container ended.
public struct ContainerWaitResponse: Codable, Sendable, Equatable {
    public var StatusCode: Int64?
    public var Error: ContainerWaitExitError?

    public init() {}
}

/// Why waiting for a container failed.
public struct ContainerWaitExitError: Codable, Sendable, Equatable {
    public var Message: String?

    public init() {}
}

/// The processes of a container, as ps(1) shows them.
public struct ContainerTopResponse: Codable, Sendable, Equatable {
    public var Titles: [String]?
    public var Processes: [[String]]?

    public init() {}
}

/// One changed path of a container. `Kind` is 0 for modified, 1 for added, 2 for deleted.
public struct FilesystemChange: Codable, Sendable, Equatable {
    public var Path: String?
    public var Kind: Int?

    public init() {}
}

/// A file in a container, sent base64-encoded in the header `X-Docker-Container-Path-Stat`. `mode` has the bits of Go's
/// `FileMode`.
public struct ContainerPathStat: Codable, Sendable, Equatable {
    public var name: String?
    public var size: Int64?
    public var mode: UInt32?
    public var mtime: String?
    public var linkTarget: String?

    public init() {}
}
