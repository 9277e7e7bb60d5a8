// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// What a container uses right now. `precpu_stats` is the sample before, to compute percentages.
public struct ContainerStatsResponse: Codable, Sendable, Equatable {
    public var name: String?
    public var id: String?
    public var read: String?
    public var preread: String?
    public var pids_stats: PidsStats?
    public var blkio_stats: BlkioStats?
    public var num_procs: UInt32?
    public var cpu_stats: CPUStats?
    public var precpu_stats: CPUStats?
    public var memory_stats: MemoryStats?
    public var networks: [String: NetworkStats]?

    public init() {}

    /// Processes and threads.
    public struct PidsStats: Codable, Sendable, Equatable {
        public var current: UInt64?
        public var limit: UInt64?

        public init() {}
    }

    /// Block devices.
    public struct BlkioStats: Codable, Sendable, Equatable {
        public var io_service_bytes_recursive: [BlkioStatEntry]?
        public var io_serviced_recursive: [BlkioStatEntry]?
        public var io_queue_recursive: [BlkioStatEntry]?
        public var io_service_time_recursive: [BlkioStatEntry]?
        public var io_wait_time_recursive: [BlkioStatEntry]?
        public var io_merged_recursive: [BlkioStatEntry]?
        public var io_time_recursive: [BlkioStatEntry]?
        public var sectors_recursive: [BlkioStatEntry]?

        public init() {}
    }

    /// One counter of one block device.
    public struct BlkioStatEntry: Codable, Sendable, Equatable {
        public var major: UInt64?
        public var minor: UInt64?
        public var op: String?
        public var value: UInt64?

        public init() {}
    }

    /// Processor time in nanoseconds.
    public struct CPUStats: Codable, Sendable, Equatable {
        public var cpu_usage: CPUUsage?
        public var system_cpu_usage: UInt64?
        public var online_cpus: UInt32?
        public var throttling_data: ThrottlingData?

        public init() {}
    }

    /// Processor time of the container.
    public struct CPUUsage: Codable, Sendable, Equatable {
        public var total_usage: UInt64?
        public var percpu_usage: [UInt64]?
        public var usage_in_kernelmode: UInt64?
        public var usage_in_usermode: UInt64?

        public init() {}
    }

    /// How often the processor limit held the container back.
    public struct ThrottlingData: Codable, Sendable, Equatable {
        public var periods: UInt64?
        public var throttled_periods: UInt64?
        public var throttled_time: UInt64?

        public init() {}
    }

    /// Memory in bytes.
    public struct MemoryStats: Codable, Sendable, Equatable {
        public var usage: UInt64?
        public var max_usage: UInt64?
        public var stats: [String: UInt64]?
        public var failcnt: UInt64?
        public var limit: UInt64?

        public init() {}
    }

    /// Counters of one interface.
    public struct NetworkStats: Codable, Sendable, Equatable {
        public var rx_bytes: UInt64?
        public var rx_packets: UInt64?
        public var rx_errors: UInt64?
        public var rx_dropped: UInt64?
        public var tx_bytes: UInt64?
        public var tx_packets: UInt64?
        public var tx_errors: UInt64?
        public var tx_dropped: UInt64?

        public init() {}
    }
}
