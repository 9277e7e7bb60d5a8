import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    // MARK: Version 1

    func applyMemoryOne(_ resources: Resources) throws(SystemError) {
        if resources.memoryLimit != nil || resources.memorySwap != nil { try applyMemoryAndSwapOne(resources) }
        if let reservation = resources.memoryReservation {
            try Self.write("\(reservation)", to: try file(.memory, "memory.soft_limit_in_bytes"))
        }
        if let limit = resources.kernelTCPMemory, limit != 0 {
            try Self.write("\(limit)", to: try file(.memory, "memory.kmem.tcp.limit_in_bytes"))
        }
        if let swappiness = resources.memorySwappiness, swappiness >= 0 {
            guard swappiness <= 100 else {
                throw SystemError(errno: .invalidArgument, call: "memory swappiness (0 to 100)", subject: "\(swappiness)")
            }
            try Self.write("\(swappiness)", to: try file(.memory, "memory.swappiness"))
        }
        if let disable = resources.disableOOMKiller, disable {
            try Self.write("1", to: try file(.memory, "memory.oom_control"))
        }
    }

    /// The kernel never lets the limit of memory and swap be below that of memory, so growing and shrinking take
    /// different orders.
    private func applyMemoryAndSwapOne(_ resources: Resources) throws(SystemError) {
        let both = try file(.memory, "memory.memsw.limit_in_bytes")
        // Memory without a limit makes no sense below a limit of memory and swap.
        let swap = resources.memorySwap ?? (resources.memoryLimit == -1 ? -1 : nil)
        let hasSwapAccount = Self.exists(both)
        guard let swap, swap != 0, hasSwapAccount || swap > 0 else {
            return try setMemoryLimitOne(resources.memoryLimit)
        }
        let current = try Self.readNumber(both) ?? .max
        if swap == -1 || UInt64(swap) > current {
            try Self.write("\(swap)", to: both)
            try setMemoryLimitOne(resources.memoryLimit)
        } else {
            try setMemoryLimitOne(resources.memoryLimit)
            try Self.write("\(swap)", to: both)
        }
    }

    private func setMemoryLimitOne(_ limit: Int64?) throws(SystemError) {
        guard let limit else { return }
        do {
            try Self.write("\(limit)", to: try file(.memory, "memory.limit_in_bytes"))
        } catch  where error.errno == .resourceBusy {
            let usage = try Self.read(try file(.memory, "memory.usage_in_bytes"))
            let peak = try Self.read(try file(.memory, "memory.max_usage_in_bytes"))
            throw SystemError(
                errno: .resourceBusy, call: "unable to set memory limit to \(limit) (current usage: \(usage), peak usage: \(peak))")
        }
    }

    // MARK: Version 2

    func applyMemoryTwo(_ resources: Resources) throws(SystemError) {
        if resources.disableOOMKiller == true { throw unknownToTwo("disableOOMKiller") }
        if (resources.memorySwappiness ?? -1) >= 0 { throw unknownToTwo("swappiness") }
        if (resources.kernelTCPMemory ?? 0) > 0 { throw unknownToTwo("kernelTCP") }
        func text(_ value: Int64) -> String { value < 0 ? "max" : "\(value)" }
        if resources.checksUsage { try checkUsage(resources) }
        if let swap = try Self.swapTwo(resources) {
            let file = try file(.memory, "memory.swap.max")
            do {
                try Self.write(text(swap), to: file)
            } catch  where error.errno == .noSuchFileOrDirectory && swap <= 0 {
                // Without swap accounting there is no swap to be had, nor a limit of it.
            }
        }
        if let limit = resources.memoryLimit, limit != 0 {
            try Self.write(text(limit), to: try file(.memory, "memory.max"))
        }
        if let reservation = resources.memoryReservation, reservation != 0 {
            try Self.write(text(reservation), to: try file(.memory, "memory.low"))
        }
    }

    private func unknownToTwo(_ field: String) -> SystemError {
        SystemError(errno: .notSupported, call: "set memory.\(field) with cgroup v2 in", subject: path)
    }

    /// OCI counts memory and swap together, version 2 swap alone. nil leaves it as it is, -1 is no limit.
    static func swapTwo(_ resources: Resources) throws(SystemError) -> Int64? {
        func refuse(_ text: String, _ value: Int64) -> SystemError {
            SystemError(errno: .invalidArgument, call: text, subject: "\(value)")
        }
        let limit = resources.memoryLimit ?? 0
        guard let swap = resources.memorySwap, swap != 0 else { return limit == -1 ? -1 : nil }
        if swap < 0 { return -1 }
        if limit <= 0 { throw refuse("unable to set swap limit without memory limit:", swap) }
        if swap < limit { throw refuse("memory+swap limit should be >= memory limit:", swap) }
        return swap - limit
    }

    private func checkUsage(_ resources: Resources) throws(SystemError) {
        let usage = try Self.readNumber(try file(.memory, "memory.current")) ?? 0
        for (name, limit) in [("memory+swap", resources.memorySwap ?? 0), ("memory", resources.memoryLimit ?? 0)]
        where limit > 0 && UInt64(limit) <= usage {
            throw SystemError(errno: .resourceBusy, call: "rejecting \(name) limit \(limit) <= usage", subject: "\(usage)")
        }
    }
}
