// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// One container in a list.
public struct ContainerSummary: Codable, Sendable, Equatable {
    public var Id: String?
    public var Names: [String]?
    public var Image: String?
    public var ImageID: String?
    public var ImageManifestDescriptor: OCIDescriptor?
    public var Command: String?
    public var Created: Int64?
    public var Ports: [PortSummary]?
    public var SizeRw: Int64?
    public var SizeRootFs: Int64?
    public var Labels: [String: String]?
    public var State: String?
    public var Status: String?
    public var HostConfig: HostConfig?
    public var NetworkSettings: NetworkSettings?
    public var Mounts: [MountPoint]?

    public init() {}

    /// The part of the host configuration that lists show.
    public struct HostConfig: Codable, Sendable, Equatable {
        public var NetworkMode: String?
        public var Annotations: [String: String]?

        public init() {}
    }

    /// The part of the network settings that lists show.
    public struct NetworkSettings: Codable, Sendable, Equatable {
        public var Networks: [String: EndpointSettings]?

        public init() {}
    }
}

/// A port in a list. Without `PublicPort` it is exposed only.
public struct PortSummary: Codable, Sendable, Equatable {
    public var IP: String?
    public var PrivatePort: UInt16?
    public var PublicPort: UInt16?
    public var `Type`: String?

    public init() {}
}
