import CLinux
import Glibc
import SystemPackage

/// What a cgroup has used so far.
public struct CgroupStatistics: Sendable, Equatable {
    public struct Processor: Sendable, Equatable {
        /// Nanoseconds.
        public var total: UInt64 = 0
        public var user: UInt64 = 0
        public var system: UInt64 = 0
        /// Nanoseconds of each processor; only version 1 tells.
        public var perProcessor: [UInt64] = []
        public var periods: UInt64 = 0
        public var throttledPeriods: UInt64 = 0
        /// Nanoseconds.
        public var throttledTime: UInt64 = 0
    }

    public struct Memory: Sendable, Equatable {
        /// Bytes, page cache included.
        public var usage: UInt64 = 0
        /// The most that was ever used; 0 where the kernel does not tell.
        public var maximumUsage: UInt64 = 0
        /// nil is no limit.
        public var limit: UInt64?
        /// How often the limit was hit.
        public var failures: UInt64 = 0
        /// `memory.stat` as the kernel of this machine has it.
        public var details: [String: UInt64] = [:]
    }

    public struct Processes: Sendable, Equatable {
        public var current: UInt64 = 0
        /// nil is no limit.
        public var limit: UInt64?
    }

    /// Whether the names in `memory.details` are those of version 2.
    public var isVersionTwo = false
    public var processor = Processor()
    public var memory = Memory()
    public var processes = Processes()

    public init() {}
}

extension Cgroup {
    /// Reads all figures; they are of slightly different moments.
    public func statistics() throws(SystemError) -> CgroupStatistics {
        var result = CgroupStatistics()
        switch trees {
        case .one:
            result.processor = try processorOne()
            result.memory = try memoryOne()
        case .two(let directory):
            result.isVersionTwo = true
            result.processor = try Self.processorTwo(directory)
            result.memory = try Self.memoryTwo(directory)
        }
        result.processes.current = try Self.readNumber(try file(.pids, "pids.current")) ?? 0
        result.processes.limit = try Self.readNumber(try file(.pids, "pids.max"))
        return result
    }

    private func processorOne() throws(SystemError) -> CgroupStatistics.Processor {
        var result = CgroupStatistics.Processor()
        result.total = try Self.readNumber(try file(.cpuacct, "cpuacct.usage")) ?? 0
        result.user = try Self.readNumber(try file(.cpuacct, "cpuacct.usage_user")) ?? 0
        result.system = try Self.readNumber(try file(.cpuacct, "cpuacct.usage_sys")) ?? 0
        result.perProcessor = try Self.read(try file(.cpuacct, "cpuacct.usage_percpu"))
            .split(separator: " ").compactMap { UInt64($0) }
        for (name, value) in try Self.readTable(try file(.cpu, "cpu.stat")) {
            switch name {
            case "nr_periods": result.periods = value
            case "nr_throttled": result.throttledPeriods = value
            case "throttled_time": result.throttledTime = value
            default: break
            }
        }
        return result
    }

    private func memoryOne() throws(SystemError) -> CgroupStatistics.Memory {
        var result = CgroupStatistics.Memory()
        result.usage = try Self.readNumber(try file(.memory, "memory.usage_in_bytes")) ?? 0
        result.maximumUsage = try Self.readNumber(try file(.memory, "memory.max_usage_in_bytes")) ?? 0
        result.failures = try Self.readNumber(try file(.memory, "memory.failcnt")) ?? 0
        for (name, value) in try Self.readTable(try file(.memory, "memory.stat")) { result.details[name] = value }
        // No limit is the largest number of pages that fit a signed 64-bit count of bytes.
        let limit = try Self.readNumber(try file(.memory, "memory.limit_in_bytes"))
        result.limit = limit.flatMap { $0 >= UInt64(Int64.max) - 0xFFFF ? nil : $0 }
        return result
    }

    private static func processorTwo(_ directory: FilePath) throws(SystemError) -> CgroupStatistics.Processor {
        var result = CgroupStatistics.Processor()
        for (name, value) in try readTable(directory.appending("cpu.stat")) {
            switch name {
            case "usage_usec": result.total = value * 1000
            case "user_usec": result.user = value * 1000
            case "system_usec": result.system = value * 1000
            case "nr_periods": result.periods = value
            case "nr_throttled": result.throttledPeriods = value
            case "throttled_usec": result.throttledTime = value * 1000
            default: break
            }
        }
        return result
    }

    private static func memoryTwo(_ directory: FilePath) throws(SystemError) -> CgroupStatistics.Memory {
        var result = CgroupStatistics.Memory()
        result.usage = try readNumber(directory.appending("memory.current")) ?? 0
        result.limit = try readNumber(directory.appending("memory.max"))
        for (name, value) in try readTable(directory.appending("memory.stat")) { result.details[name] = value }
        for (name, value) in try readTable(directory.appending("memory.events")) where name == "max" {
            result.failures = value
        }
        let peak = directory.appending("memory.peak")
        // Kernels before 5.19 have no such file.
        if peak.withPlatformString({ access($0, F_OK) }) == 0 { result.maximumUsage = try readNumber(peak) ?? 0 }
        return result
    }
}
