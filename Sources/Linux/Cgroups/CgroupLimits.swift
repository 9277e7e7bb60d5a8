import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    func apply(_ resources: Resources) throws(SystemError) {
        if let limit = resources.kernelMemory, limit != 0, limit != -1 {
            throw SystemError(errno: .notSupported, call: "limit kernel memory (memory.kernel) of", subject: path)
        }
        switch trees {
        case .one:
            if !resources.unified.isEmpty {
                throw SystemError(errno: .notSupported, call: "invalid configuration: cannot use unified on cgroup v1:", subject: path)
            }
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
        try applyDeviceLimits(resources)
        if case .two(let directory) = trees { try Self.apply(unified: resources.unified, to: directory) }
    }

    // MARK: Version 1

    private func applyProcessorsOne(_ resources: Resources) throws(SystemError) {
        // A group that runs only when nobody else wants to has no shares, so it leaves that state first and enters it last.
        if resources.cpuIdle == 0 { try Self.write("0", to: try file(.cpu, "cpu.idle")) }
        if let shares = resources.cpuShares, shares != 0 { try applyShares(shares) }
        if let period = resources.realtimePeriod, period != 0 {
            try Self.write("\(period)", to: try file(.cpu, "cpu.rt_period_us"))
        }
        if let runtime = resources.realtimeRuntime, runtime != 0 {
            try raiseRealTimeAbove(runtime)
            try Self.write("\(runtime)", to: try file(.cpu, "cpu.rt_runtime_us"))
        }
        try applyQuotaOne(resources)
        if let idle = resources.cpuIdle, idle != 0 { try Self.write("\(idle)", to: try file(.cpu, "cpu.idle")) }
    }

    /// A group has no time for real-time processes that the groups above it do not have, and new ones begin with none: those
    /// of this path get what the groups below them have together.
    private func raiseRealTimeAbove(_ runtime: Int64) throws(SystemError) {
        let name = "cpu.rt_runtime_us"
        let chain = chain(try file(.cpu, name).removingLastComponent())
        for (parent, own) in zip(chain, chain.dropFirst()) {
            var wanted = UInt64(max(0, runtime))
            for child in Self.subdirectories(of: parent) where child != own {
                // Its container may just have ended.
                wanted += (try? Self.readNumber(child.appending(name))) ?? 0
            }
            if let present = try Self.readNumber(parent.appending(name)), present >= wanted { continue }
            try Self.write("\(wanted)", to: parent.appending(name))
        }
    }

    /// The kernel takes what is too much or too little and makes something else of it; that is told.
    private func applyShares(_ shares: Int64) throws(SystemError) {
        let file = try file(.cpu, "cpu.shares")
        try Self.write("\(shares)", to: file)
        let present = Int64(try Self.read(file)) ?? shares
        if present != shares {
            let word = shares > present ? "maximum" : "minimum"
            throw SystemError(errno: .invalidArgument, call: "the \(word) allowed cpu-shares is", subject: "\(present)")
        }
    }

    private func applyQuotaOne(_ resources: Resources) throws(SystemError) {
        let quota = resources.cpuQuota.flatMap { $0 == 0 ? nil : "\($0)" }
        let period = resources.cpuPeriod.flatMap { $0 == 0 ? nil : "\($0)" }
        guard quota != nil || period != nil || resources.cpuBurst != nil else { return }
        let quotaFile = try file(.cpu, "cpu.cfs_quota_us")
        let periodFile = try file(.cpu, "cpu.cfs_period_us")
        let writeBurst = { () throws(SystemError) in
            if let burst = resources.cpuBurst { try Self.write("\(burst)", to: try file(.cpu, "cpu.cfs_burst_us")) }
        }
        // Never more than the quota: the new one may fit the present quota only, or the new quota only.
        let burstIsSet = try Self.unlessInvalid(writeBurst)
        var periodIsSet = period == nil
        if let period {
            // A parent's limit may allow the new period only together with the new quota.
            periodIsSet = try Self.unlessInvalid { () throws(SystemError) in try Self.write(period, to: periodFile) }
            if !periodIsSet, quota == nil { try Self.write(period, to: periodFile) }
        }
        if let quota { try Self.write(quota, to: quotaFile) }
        if let period, !periodIsSet { try Self.write(period, to: periodFile) }
        if !burstIsSet { try writeBurst() }
    }

    /// False when the kernel answers that the value does not fit the others (`EINVAL`).
    private static func unlessInvalid(_ body: () throws(SystemError) -> Void) throws(SystemError) -> Bool {
        do {
            try body()
            return true
        } catch {
            if error.errno == .invalidArgument { return false }
            throw error
        }
    }

    // MARK: Version 2

    private func applyProcessorsTwo(_ resources: Resources) throws(SystemError) {
        if (resources.realtimeRuntime ?? 0) != 0 || (resources.realtimePeriod ?? 0) != 0 {
            throw SystemError(errno: .notSupported, call: "limit real-time processes (cpu.realtimeRuntime) with cgroup v2 in", subject: path)
        }
        if resources.cpuIdle == 0 { try Self.write("0", to: try file(.cpu, "cpu.idle")) }
        if let shares = resources.cpuShares, shares != 0 {
            try Self.write("\(Self.weight(shares: shares))", to: try file(.cpu, "cpu.weight"))
        }
        let burstFile = try file(.cpu, "cpu.max.burst")
        let writeBurst = { () throws(SystemError) in
            if let burst = resources.cpuBurst { try Self.write("\(burst)", to: burstFile) }
        }
        let burstIsSet = try Self.unlessInvalid(writeBurst)
        let quota = resources.cpuQuota ?? 0
        let period = resources.cpuPeriod ?? 0
        if quota != 0 || period != 0 {
            let limit = quota > 0 ? "\(quota)" : "max"
            try Self.write(period > 0 ? "\(limit) \(period)" : limit, to: try file(.cpu, "cpu.max"))
        }
        if !burstIsSet { try writeBurst() }
        if let idle = resources.cpuIdle, idle != 0 { try Self.write("\(idle)", to: try file(.cpu, "cpu.idle")) }
    }

    /// The weight of version 2 for shares of version 1.
    public static func weight(ofShares shares: Int64) -> Int { weight(shares: shares) }

    /// Shares (2...262144, usually 1024) as weight (1...10000, usually 100), along the curve through these three points
    /// that runc and crun follow.
    static func weight(shares: Int64) -> Int {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10_000 }
        let exponent = log2(Double(shares))
        return Int(ceil(pow(10, (exponent * exponent + 125 * exponent) / 612 - 7.0 / 34)))
    }

    /// Each file gets its value line by line; a name is one of the group's own directory.
    private static func apply(unified: [String: String], to directory: FilePath) throws(SystemError) {
        for (name, value) in unified.sorted(by: { $0.key < $1.key }) {
            guard name.contains("."), !name.contains("/"), name != ".", name != "..", !name.utf8.contains(0) else {
                throw SystemError(
                    errno: .invalidArgument, call: "unified resource must be a file name of the form CONTROLLER.PARAMETER:", subject: name)
            }
            for line in value.split(separator: "\n") { try write(String(line), to: directory.appending(name)) }
        }
    }
}
