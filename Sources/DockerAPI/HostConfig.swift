// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// What a container gets from its host: limits, mounts, ports, privileges.
public struct HostConfig: Codable, Sendable, Equatable {
    public var CpuShares: Int64?
    public var Memory: Int64?
    public var CgroupParent: String?
    public var BlkioWeight: Int?
    public var BlkioWeightDevice: [WeightDevice]?
    public var BlkioDeviceReadBps: [ThrottleDevice]?
    public var BlkioDeviceWriteBps: [ThrottleDevice]?
    public var BlkioDeviceReadIOps: [ThrottleDevice]?
    public var BlkioDeviceWriteIOps: [ThrottleDevice]?
    public var CpuPeriod: Int64?
    public var CpuQuota: Int64?
    public var CpuRealtimePeriod: Int64?
    public var CpuRealtimeRuntime: Int64?
    public var CpusetCpus: String?
    public var CpusetMems: String?
    public var Devices: [DeviceMapping]?
    public var DeviceCgroupRules: [String]?
    public var DeviceRequests: [DeviceRequest]?
    public var KernelMemoryTCP: Int64?
    public var MemoryReservation: Int64?
    public var MemorySwap: Int64?
    public var MemorySwappiness: Int64?
    public var NanoCpus: Int64?
    public var OomKillDisable: Bool?
    public var Init: Bool?
    public var PidsLimit: Int64?
    public var Ulimits: [Ulimit]?
    public var CpuCount: Int64?
    public var CpuPercent: Int64?
    public var IOMaximumIOps: Int64?
    public var IOMaximumBandwidth: Int64?
    public var Binds: [String]?
    public var ContainerIDFile: String?
    public var LogConfig: LogConfig?
    public var NetworkMode: String?
    public var PortBindings: PortMap?
    public var RestartPolicy: RestartPolicy?
    public var AutoRemove: Bool?
    public var VolumeDriver: String?
    public var VolumesFrom: [String]?
    public var Mounts: [Mount]?
    public var ConsoleSize: [Int]?
    public var Annotations: [String: String]?
    public var CapAdd: StrSlice?
    public var CapDrop: StrSlice?
    public var CgroupnsMode: String?
    public var Dns: [String]?
    public var DnsOptions: [String]?
    public var DnsSearch: [String]?
    public var ExtraHosts: [String]?
    public var GroupAdd: [String]?
    public var IpcMode: String?
    public var Cgroup: String?
    public var Links: [String]?
    public var OomScoreAdj: Int?
    public var PidMode: String?
    public var Privileged: Bool?
    public var PublishAllPorts: Bool?
    public var ReadonlyRootfs: Bool?
    public var SecurityOpt: [String]?
    public var StorageOpt: [String: String]?
    public var Tmpfs: [String: String]?
    public var UTSMode: String?
    public var UsernsMode: String?
    public var ShmSize: Int64?
    public var Sysctls: [String: String]?
    public var Runtime: String?
    public var Isolation: String?
    public var MaskedPaths: [String]?
    public var ReadonlyPaths: [String]?
    // Docker's clients know none of these.
    /// The most that each network device of the container receives and sends, in bytes per second.
    public var NetworkInBps: Int64?
    public var NetworkOutBps: Int64?

    public init() {}
}

/// When the engine starts a container again: `no`, `always`, `unless-stopped` or `on-failure`.
public struct RestartPolicy: Codable, Sendable, Equatable {
    public var Name: String?
    public var MaximumRetryCount: Int?

    public init() {}
}

/// The log driver of a container and its options.
public struct LogConfig: Codable, Sendable, Equatable {
    public var `Type`: String?
    public var Config: [String: String]?

    public init() {}
}

/// One resource limit, by the name that getrlimit(2) knows without `RLIMIT_`.
public struct Ulimit: Codable, Sendable, Equatable {
    public var Name: String?
    public var Soft: Int64?
    public var Hard: Int64?

    public init() {}
}

/// A device of the host that a container gets.
public struct DeviceMapping: Codable, Sendable, Equatable {
    public var PathOnHost: String?
    public var PathInContainer: String?
    public var CgroupPermissions: String?

    public init() {}
}

/// Devices that a driver picks, for instance GPUs.
public struct DeviceRequest: Codable, Sendable, Equatable {
    public var Driver: String?
    public var Count: Int?
    public var DeviceIDs: [String]?
    public var Capabilities: [[String]]?
    public var Options: [String: String]?

    public init() {}
}

/// A limit for one block device, in bytes or operations per second.
public struct ThrottleDevice: Codable, Sendable, Equatable {
    public var Path: String?
    public var Rate: Int64?

    public init() {}
}

/// The share of one block device.
public struct WeightDevice: Codable, Sendable, Equatable {
    public var Path: String?
    public var Weight: Int?

    public init() {}
}

/// What `docker update` may change in a container.
public struct ContainerUpdateRequest: Codable, Sendable, Equatable {
    public var CpuShares: Int64?
    public var Memory: Int64?
    public var CgroupParent: String?
    public var BlkioWeight: Int?
    public var BlkioWeightDevice: [WeightDevice]?
    public var BlkioDeviceReadBps: [ThrottleDevice]?
    public var BlkioDeviceWriteBps: [ThrottleDevice]?
    public var BlkioDeviceReadIOps: [ThrottleDevice]?
    public var BlkioDeviceWriteIOps: [ThrottleDevice]?
    public var CpuPeriod: Int64?
    public var CpuQuota: Int64?
    public var CpuRealtimePeriod: Int64?
    public var CpuRealtimeRuntime: Int64?
    public var CpusetCpus: String?
    public var CpusetMems: String?
    public var Devices: [DeviceMapping]?
    public var DeviceCgroupRules: [String]?
    public var DeviceRequests: [DeviceRequest]?
    public var KernelMemoryTCP: Int64?
    public var MemoryReservation: Int64?
    public var MemorySwap: Int64?
    public var MemorySwappiness: Int64?
    public var NanoCpus: Int64?
    public var OomKillDisable: Bool?
    public var Init: Bool?
    public var PidsLimit: Int64?
    public var Ulimits: [Ulimit]?
    public var CpuCount: Int64?
    public var CpuPercent: Int64?
    public var IOMaximumIOps: Int64?
    public var IOMaximumBandwidth: Int64?
    public var RestartPolicy: RestartPolicy?
    // Docker's clients send none of these.
    /// Ports to publish besides those that are.
    public var PortBindings: PortMap?
    /// Ports to take back. A binding without a port of the host means all of its port of the container.
    public var PortBindingsRemoved: PortMap?
    /// As in `HostConfig`; 0 takes the limit away.
    public var NetworkInBps: Int64?
    public var NetworkOutBps: Int64?
    /// Labels to set besides those that are, or in their place.
    public var Labels: [String: String]?
    /// Names of labels to take away; one that is not there is as good.
    public var LabelsRemoved: [String]?
    /// Variables, `NAME=value`, to set besides those that are, or in their place.
    public var Env: [String]?
    /// Names of variables to take away.
    public var EnvRemoved: [String]?
    /// Mounts that come to those that are.
    public var Mounts: [Mount]?
    /// Destinations of mounts to take away.
    public var MountsRemoved: [String]?
    /// Also when they are in use: whoever has something in them open keeps it.
    public var MountsRemovedLazily: Bool?

    public init() {}
}

/// The answer to an update.
public struct ContainerUpdateResponse: Codable, Sendable, Equatable {
    public var Warnings: [String]?

    public init() {}
}
