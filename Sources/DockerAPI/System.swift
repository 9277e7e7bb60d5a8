// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// The version of the engine and of its parts.
public struct SystemVersion: Codable, Sendable, Equatable {
    public var Platform: Platform?
    public var Components: [Component]?
    public var Version: String?
    public var ApiVersion: String?
    public var MinAPIVersion: String?
    public var GitCommit: String?
    public var GoVersion: String?
    public var Os: String?
    public var Arch: String?
    public var KernelVersion: String?
    public var Experimental: Bool?
    public var BuildTime: String?

    public init() {}

    /// The product that the engine belongs to.
    public struct Platform: Codable, Sendable, Equatable {
        public var Name: String?

        public init() {}
    }

    /// One part of the engine.
    public struct Component: Codable, Sendable, Equatable {
        public var Name: String?
        public var Version: String?
        public var Details: [String: String]?

        public init() {}
    }
}

/// What the engine tells about itself and its host.
public struct SystemInfo: Codable, Sendable, Equatable {
    public var ID: String?
    public var Containers: Int?
    public var ContainersRunning: Int?
    public var ContainersPaused: Int?
    public var ContainersStopped: Int?
    public var Images: Int?
    public var Driver: String?
    public var DriverStatus: [[String]]?
    public var DockerRootDir: String?
    public var Plugins: PluginsInfo?
    public var MemoryLimit: Bool?
    public var SwapLimit: Bool?
    public var CpuCfsPeriod: Bool?
    public var CpuCfsQuota: Bool?
    public var CPUShares: Bool?
    public var CPUSet: Bool?
    public var PidsLimit: Bool?
    public var OomKillDisable: Bool?
    public var IPv4Forwarding: Bool?
    public var Debug: Bool?
    public var NFd: Int?
    public var NGoroutines: Int?
    public var SystemTime: String?
    public var LoggingDriver: String?
    public var CgroupDriver: String?
    public var CgroupVersion: String?
    public var NEventsListener: Int?
    public var KernelVersion: String?
    public var OperatingSystem: String?
    public var OSVersion: String?
    public var OSType: String?
    public var Architecture: String?
    public var NCPU: Int?
    public var MemTotal: Int64?
    public var IndexServerAddress: String?
    public var RegistryConfig: RegistryServiceConfig?
    public var HttpProxy: String?
    public var HttpsProxy: String?
    public var NoProxy: String?
    public var Name: String?
    public var Labels: [String]?
    public var ExperimentalBuild: Bool?
    public var ServerVersion: String?
    public var Runtimes: [String: Runtime]?
    public var DefaultRuntime: String?
    public var Swarm: SwarmInfo?
    public var LiveRestoreEnabled: Bool?
    public var Isolation: String?
    public var InitBinary: String?
    public var ContainerdCommit: Commit?
    public var RuncCommit: Commit?
    public var InitCommit: Commit?
    public var SecurityOptions: [String]?
    public var ProductLicense: String?
    public var DefaultAddressPools: [AddressPool]?
    public var FirewallBackend: FirewallInfo?
    public var Warnings: [String]?
    public var CDISpecDirs: [String]?
    public var DiscoveredDevices: [DeviceInfo]?

    public init() {}

    /// The drivers by kind.
    public struct PluginsInfo: Codable, Sendable, Equatable {
        public var Volume: [String]?
        public var Network: [String]?
        public var Authorization: [String]?
        public var Log: [String]?

        public init() {}
    }

    /// An OCI runtime.
    public struct Runtime: Codable, Sendable, Equatable {
        public var path: String?
        public var runtimeArgs: [String]?
        public var status: [String: String]?

        public init() {}
    }

    /// A device that a container can ask for.
    public struct DeviceInfo: Codable, Sendable, Equatable {
        public var Source: String?
        public var ID: String?

        public init() {}
    }

    /// Swarm mode; always inactive here.
    public struct SwarmInfo: Codable, Sendable, Equatable {
        public var NodeID: String?
        public var NodeAddr: String?
        public var LocalNodeState: String?
        public var ControlAvailable: Bool?
        public var Error: String?

        public init() {}
    }

    /// The commit of a helper program.
    public struct Commit: Codable, Sendable, Equatable {
        public var ID: String?

        public init() {}
    }

    /// A range that new networks are cut from.
    public struct AddressPool: Codable, Sendable, Equatable {
        public var Base: String?
        public var Size: Int?

        public init() {}
    }

    /// How the firewall is driven.
    public struct FirewallInfo: Codable, Sendable, Equatable {
        public var Driver: String?
        public var Info: [[String]]?

        public init() {}
    }

    /// How registries are reached.
    public struct RegistryServiceConfig: Codable, Sendable, Equatable {
        public var InsecureRegistryCIDRs: [String]?
        public var IndexConfigs: [String: IndexInfo]?
        public var Mirrors: [String]?

        public init() {}
    }

    /// One registry.
    public struct IndexInfo: Codable, Sendable, Equatable {
        public var Name: String?
        public var Mirrors: [String]?
        public var Secure: Bool?
        public var Official: Bool?

        public init() {}
    }
}

/// One event. `status`, `id` and `from` repeat it in its old form for containers and images.
public struct EventMessage: Codable, Sendable, Equatable {
    public var status: String?
    public var id: String?
    public var from: String?
    public var `Type`: String?
    public var Action: String?
    public var Actor: EventActor?
    public var scope: String?
    public var time: Int64?
    public var timeNano: Int64?

    public init() {}
}

/// The thing that an event is about.
public struct EventActor: Codable, Sendable, Equatable {
    public var ID: String?
    public var Attributes: [String: String]?

    public init() {}
}

/// The body of every answer that is an error.
public struct ErrorResponse: Codable, Sendable, Equatable {
    public var message: String?

    public init() {}
}
