import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    func apply(_ resources: Resources) throws(SystemError) {
        switch trees {
        case .one:
            try applyMemoryOne(resources)
            try applyProcessorsOne(resources)
        case .two:
            try applyMemoryTwo(resources)
            try applyProcessorsTwo(resources)
        }
        if let nodes = resources.memoryNodes, !nodes.isEmpty { try Self.write(nodes, to: try file(.cpuset, "cpuset.mems")) }
        if let cpus = resources.cpus, !cpus.isEmpty { try Self.write(cpus, to: try file(.cpuset, "cpuset.cpus")) }
        if let limit = resources.pidsLimit, limit != 0 {
            try Self.write(limit > 0 ? "\(limit)" : "max", to: try file(.pids, "pids.max"))
        }
    }

    // MARK: Version 1

    private func applyMemoryOne(_ resources: Resources) throws(SystemError) {
        if resources.memoryLimit != nil || resources.memorySwap != nil { try applyMemoryAndSwapOne(resources) }
        if let reservation = resources.memoryReservation {
            try Self.write("\(reservation)", to: try file(.memory, "memory.soft_limit_in_bytes"))
        }
        if let swappiness = resources.memorySwappiness, swappiness >= 0 {
            try Self.write("\(swappiness)", to: try file(.memory, "memory.swappiness"))
        }
        if let disable = resources.disableOOMKiller, disable {
            try Self.write("1", to: try file(.memory, "memory.oom_control"))
        }
    }

    /// The kernel never lets the limit of memory and swap be below that of memory, so growing and shrinking take
    /// different orders.
    private func applyMemoryAndSwapOne(_ resources: Resources) throws(SystemError) {
        let memory = try file(.memory, "memory.limit_in_bytes")
        let both = try file(.memory, "memory.memsw.limit_in_bytes")
        // Memory without a limit makes no sense below a limit of memory and swap.
        let swap = resources.memorySwap ?? (resources.memoryLimit == -1 ? -1 : nil)
        let hasSwapAccount = both.withPlatformString { access($0, F_OK) } == 0
        guard let swap, swap != 0, hasSwapAccount || swap > 0 else {
            if let limit = resources.memoryLimit { try Self.write("\(limit)", to: memory) }
            return
        }
        let current = try Self.readNumber(both) ?? .max
        if swap == -1 || UInt64(swap) > current {
            try Self.write("\(swap)", to: both)
            if let limit = resources.memoryLimit { try Self.write("\(limit)", to: memory) }
        } else {
            if let limit = resources.memoryLimit { try Self.write("\(limit)", to: memory) }
            try Self.write("\(swap)", to: both)
        }
    }

    private func applyProcessorsOne(_ resources: Resources) throws(SystemError) {
        if let shares = resources.cpuShares, shares != 0 {
            try Self.write("\(shares)", to: try file(.cpu, "cpu.shares"))
        }
        let quota = resources.cpuQuota.flatMap { $0 == 0 ? nil : "\($0)" }
        let period = resources.cpuPeriod.flatMap { $0 == 0 ? nil : "\($0)" }
        guard quota != nil || period != nil else { return }
        let quotaFile = try file(.cpu, "cpu.cfs_quota_us")
        let periodFile = try file(.cpu, "cpu.cfs_period_us")
        var periodIsSet = period == nil
        if let period {
            do {
                try Self.write(period, to: periodFile)
                periodIsSet = true
            } catch {
                // A parent's limit may allow the new period only together with the new quota.
                if error.errno != .invalidArgument || quota == nil { throw error }
            }
        }
        if let quota { try Self.write(quota, to: quotaFile) }
        if let period, !periodIsSet { try Self.write(period, to: periodFile) }
    }

    // MARK: Version 2

    private func applyMemoryTwo(_ resources: Resources) throws(SystemError) {
        func text(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }
        if let swap = resources.memorySwap, swap != 0 {
            let limit = resources.memoryLimit ?? 0
            if swap > 0, limit <= 0 || swap < limit {
                throw SystemError(errno: .invalidArgument, call: "memory and swap limit \(swap)", subject: path)
            }
            try Self.write(swap < 0 ? "max" : "\(swap - limit)", to: try file(.memory, "memory.swap.max"))
        } else if resources.memoryLimit == -1 {
            try Self.write("max", to: try file(.memory, "memory.swap.max"))
        }
        if let limit = resources.memoryLimit, limit != 0 {
            try Self.write(text(limit), to: try file(.memory, "memory.max"))
        }
        if let reservation = resources.memoryReservation, reservation != 0 {
            try Self.write(text(reservation), to: try file(.memory, "memory.low"))
        }
        if resources.disableOOMKiller == true {
            throw SystemError(errno: .notSupported, call: "disable oom killer", subject: path)
        }
    }

    private func applyProcessorsTwo(_ resources: Resources) throws(SystemError) {
        if let shares = resources.cpuShares, shares != 0 {
            try Self.write("\(Self.weight(shares: shares))", to: try file(.cpu, "cpu.weight"))
        }
        let quota = resources.cpuQuota ?? 0
        let period = resources.cpuPeriod ?? 0
        guard quota != 0 || period != 0 else { return }
        let limit = quota > 0 ? "\(quota)" : "max"
        try Self.write(period > 0 ? "\(limit) \(period)" : limit, to: try file(.cpu, "cpu.max"))
    }

    /// Shares (2...262144, usually 1024) as weight (1...10000, usually 100), along the curve through these three points
    /// that runc and crun follow.
    static func weight(shares: Int64) -> Int {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let exponent = log2(Double(shares))
        return Int(ceil(pow(10, (exponent * exponent + 125 * exponent) / 612 - 7.0 / 34)))
    }
}
