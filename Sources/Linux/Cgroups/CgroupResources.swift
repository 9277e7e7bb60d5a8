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
