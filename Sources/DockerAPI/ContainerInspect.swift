// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// Ports of a container (`80/tcp`) and where they are published. A port without a value is exposed only.
public typealias PortMap = [String: [PortBinding]?]

/// Everything about one container.
public struct ContainerInspectResponse: Codable, Sendable, Equatable {
    public var Id: String?
    public var Created: String?
    public var Path: String?
    public var Args: [String]?
    public var State: ContainerState?
    public var Image: String?
    public var ResolvConfPath: String?
    public var HostnamePath: String?
    public var HostsPath: String?
    public var LogPath: String?
    public var Name: String?
    public var RestartCount: Int?
    public var Driver: String?
    public var Platform: String?
    public var ImageManifestDescriptor: OCIDescriptor?
    public var MountLabel: String?
    public var ProcessLabel: String?
    public var AppArmorProfile: String?
    public var ExecIDs: [String]?
    public var HostConfig: HostConfig?
    public var GraphDriver: DriverData?
    public var SizeRw: Int64?
    public var SizeRootFs: Int64?
    public var Mounts: [MountPoint]?
    public var Config: ContainerConfig?
    public var NetworkSettings: NetworkSettings?

    public init() {}
}

/// What a container is doing. `Status` is one of `created`, `running`, `paused`, `restarting`, `removing`, `exited`,
/// `dead`.
public struct ContainerState: Codable, Sendable, Equatable {
    public var Status: String?
    public var Running: Bool?
    public var Paused: Bool?
    public var Restarting: Bool?
    public var OOMKilled: Bool?
    public var Dead: Bool?
    public var Pid: Int?
    public var ExitCode: Int?
    public var Error: String?
    public var StartedAt: String?
    public var FinishedAt: String?
    public var Health: Health?
    /// Ours: why it ended.
    public var ExitReason: ContainerExitReason?

    public init() {}
}

/// Why a container ended. `Reason` is one of `exited`, `signal`, `oom`, `not-started`, `supervisor-killed`.
public struct ContainerExitReason: Codable, Sendable, Equatable {
    public var Reason: String?
    /// A sentence.
    public var Message: String?
    /// `SIGKILL`
    public var Signal: String?
    /// Who sent the signal, as far as we know: `stop`, `kill`, `rm`, `unhealthy`, `kernel`.
    public var SentBy: String?
    public var OutOfMemory: OutOfMemory?

    public init() {}

    /// What ran out of memory. `Limit` is whose limit it was: `container`, `parent` or `host`.
    public struct OutOfMemory: Codable, Sendable, Equatable {
        public var Process: String?
        public var Pid: Int?
        public var Limit: String?
        public var LimitBytes: UInt64?
        public var PeakBytes: UInt64?

        public init() {}
    }
}

/// The network of a container as the host made it.
public struct NetworkSettings: Codable, Sendable, Equatable {
    public var Bridge: String?
    public var SandboxID: String?
    public var SandboxKey: String?
    public var HairpinMode: Bool?
    public var LinkLocalIPv6Address: String?
    public var LinkLocalIPv6PrefixLen: Int?
    public var Ports: PortMap?
    public var SecondaryIPAddresses: [Address]?
    public var SecondaryIPv6Addresses: [Address]?
    public var EndpointID: String?
    public var Gateway: String?
    public var GlobalIPv6Address: String?
    public var GlobalIPv6PrefixLen: Int?
    public var IPAddress: String?
    public var IPPrefixLen: Int?
    public var IPv6Gateway: String?
    public var MacAddress: String?
    public var Networks: [String: EndpointSettings]?

    public init() {}
}

/// An address and the length of its network prefix.
public struct Address: Codable, Sendable, Equatable {
    public var Addr: String?
    public var PrefixLen: Int?

    public init() {}
}

/// Where a port is published; both are text on the wire.
public struct PortBinding: Codable, Sendable, Equatable {
    public var HostIp: String?
    public var HostPort: String?

    public init() {}
}

/// What the storage driver tells about a container or an image.
public struct DriverData: Codable, Sendable, Equatable {
    public var Name: String?
    public var Data: [String: String]?

    public init() {}
}
