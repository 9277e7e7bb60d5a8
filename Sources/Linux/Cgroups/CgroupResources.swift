extension Cgroup {
    /// The limits of a cgroup in the words of the OCI runtime specification. What is nil stays as the kernel made it.
    public struct Resources: Sendable, Equatable {
        /// Bytes; -1 is no limit.
        public var memoryLimit: Int64?
        /// Bytes that reclaim leaves alone while there is other memory to take; -1 is none.
        public var memoryReservation: Int64?
        /// Bytes of memory AND swap together; -1 is no limit.
        public var memorySwap: Int64?
        /// 0...100; only version 1 knows it.
        public var memorySwappiness: Int64?
        /// Processes wait for memory instead of being killed; only version 1 knows it.
        public var disableOOMKiller: Bool?
        /// Relative weight, 1024 is usual.
        public var cpuShares: Int64?
        /// Microseconds of processor time in each period; -1 is no limit.
        public var cpuQuota: Int64?
        /// Microseconds.
        public var cpuPeriod: Int64?
        /// Processors, as in "0-3,7".
        public var cpus: String?
        /// Memory nodes, as in "0".
        public var memoryNodes: String?
        /// Processes and threads; negative is no limit.
        public var pidsLimit: Int64?
        /// Applied in order, the last matching rule counts. Empty leaves all devices open.
        public var devices: [DeviceRule]
        /// Microseconds beyond the quota.
        public var cpuBurst: Int64?
        /// 1: only processor time that nobody else wants.
        public var cpuIdle: Int64?
        /// Microseconds for real-time processes in each period; only version 1 knows it.
        public var realtimeRuntime: Int64?
        /// Microseconds.
        public var realtimePeriod: Int64?
        /// Bytes of the kernel's own memory, a limit that no kernel of today has: anything but -1 is an error.
        public var kernelMemory: Int64?
        /// Bytes in buffers of TCP sockets; only version 1 knows it.
        public var kernelTCPMemory: Int64?
        /// Version 2: a memory limit below what is in use is an error, where the kernel would kill.
        public var checksUsage = false
        public var blockIO = BlockIO()
        public var hugepages: [HugepageLimit] = []
        /// The class of the group's packets; only version 1 knows it.
        public var networkClass: UInt32?
        /// By interface; only version 1 knows them.
        public var networkPriorities: [NetworkPriority] = []
        public var rdma: [RdmaLimit] = []
        /// Files of version 2 and what to write to them, after everything else.
        public var unified: [String: String] = [:]

        public init(
            memoryLimit: Int64? = nil, memoryReservation: Int64? = nil, memorySwap: Int64? = nil,
            memorySwappiness: Int64? = nil, disableOOMKiller: Bool? = nil, cpuShares: Int64? = nil,
            cpuQuota: Int64? = nil, cpuPeriod: Int64? = nil, cpus: String? = nil, memoryNodes: String? = nil,
            pidsLimit: Int64? = nil, devices: [DeviceRule] = []
        ) {
            self.memoryLimit = memoryLimit
            self.memoryReservation = memoryReservation
            self.memorySwap = memorySwap
            self.memorySwappiness = memorySwappiness
            self.disableOOMKiller = disableOOMKiller
            self.cpuShares = cpuShares
            self.cpuQuota = cpuQuota
            self.cpuPeriod = cpuPeriod
            self.cpus = cpus
            self.memoryNodes = memoryNodes
            self.pidsLimit = pidsLimit
            self.devices = devices
        }

        /// Whether processors or memory nodes are to be chosen.
        var choosesProcessors: Bool { !(cpus ?? "").isEmpty || !(memoryNodes ?? "").isEmpty }

        /// Whether a group with these limits needs the controller. Some cost time at every start and are made only when
        /// they have something to do.
        func wants(_ controller: CgroupController) -> Bool {
            switch controller {
            case .cpu, .cpuacct, .memory, .devices, .freezer, .pids: true
            case .cpuset: choosesProcessors
            case .blkio: blockIO != BlockIO()
            case .hugetlb: !hugepages.isEmpty
            case .rdma: !rdma.isEmpty
            case .networkClass: networkClass != nil
            case .networkPriority: !networkPriorities.isEmpty
            }
        }
    }

    /// Limits on what goes to and from disks.
    public struct BlockIO: Sendable, Equatable {
        public struct Device: Sendable, Equatable {
            public var major: UInt32
            public var minor: UInt32
            /// A weight, or a rate in a second.
            public var value: UInt64

            public init(major: UInt32, minor: UInt32, value: UInt64) {
                self.major = major
                self.minor = minor
                self.value = value
            }
        }

        /// 10...1000
        public var weight: UInt32?
        public var leafWeight: UInt32?
        public var deviceWeights: [Device] = []
        public var deviceLeafWeights: [Device] = []
        public var readBytes: [Device] = []
        public var writeBytes: [Device] = []
        public var readOperations: [Device] = []
        public var writeOperations: [Device] = []

        public init() {}
    }

    /// Bytes in pages of one size; -1 is no limit.
    public struct HugepageLimit: Sendable, Equatable {
        /// As the kernel names it in file names: `2MB`.
        public var pageSize: String
        public var limit: Int64

        public init(pageSize: String, limit: Int64) {
            self.pageSize = pageSize
            self.limit = limit
        }
    }

    /// The priority that packets of the group get on an interface.
    public struct NetworkPriority: Sendable, Equatable {
        public var interface: String
        public var priority: UInt32

        public init(interface: String, priority: UInt32) {
            self.interface = interface
            self.priority = priority
        }
    }

    /// Handles and objects of an RDMA device; nil is no limit.
    public struct RdmaLimit: Sendable, Equatable {
        public var device: String
        public var handles: UInt32?
        public var objects: UInt32?

        public init(device: String, handles: UInt32? = nil, objects: UInt32? = nil) {
            self.device = device
            self.handles = handles
            self.objects = objects
        }
    }

    /// Opens or closes device files for the processes of a cgroup, whatever the mode of the file says.
    public struct DeviceRule: Sendable, Equatable {
        public enum Kind: Character, Sendable {
            case all = "a"
            case block = "b"
            case character = "c"
        }

        public struct Access: OptionSet, Sendable {
            public let rawValue: UInt8
            public init(rawValue: UInt8) { self.rawValue = rawValue }

            // The numbers of `BPF_DEVCG_ACC_*`.
            public static let makeNode = Access(rawValue: 1)
            public static let read = Access(rawValue: 2)
            public static let write = Access(rawValue: 4)
            public static let all: Access = [.makeNode, .read, .write]
        }

        public var allow: Bool
        public var kind: Kind
        /// nil is every number.
        public var major: UInt32?
        /// nil is every number.
        public var minor: UInt32?
        public var access: Access

        public init(
            allow: Bool, kind: Kind = .all, major: UInt32? = nil, minor: UInt32? = nil, access: Access = .all
        ) {
            self.allow = allow
            self.kind = kind
            self.major = major
            self.minor = minor
            self.access = access
        }

        /// Speaks of every device in every way.
        var coversEverything: Bool { kind == .all && major == nil && minor == nil && access == .all }
    }
}
