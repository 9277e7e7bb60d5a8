import Linux

/// The limits of a cgroup in systemd's words, so that it does not put others in their place when it looks after the unit
/// again. What it has no word for is written to the group's files alone.
enum SystemdLimits {
    static func properties(_ limits: Cgroup.Resources) throws -> [SystemdManager.Property] {
        var properties: [SystemdManager.Property] = []
        let isTwo = try Cgroup.isVersionTwo()
        func add(_ name: String, _ value: Int64?) {
            if let value, value != 0 { properties.append((name, .uint64(value < 0 ? .max : UInt64(value)))) }
        }
        add(isTwo ? "MemoryMax" : "MemoryLimit", limits.memoryLimit)
        if isTwo {
            add("MemoryLow", limits.memoryReservation)
            if let swap = limits.memorySwap, swap != 0 {
                let memory = max(limits.memoryLimit ?? 0, 0)
                // What does not fit together is refused when the files are written.
                if swap < 0 || swap >= memory { properties.append(("MemorySwapMax", .uint64(swap < 0 ? .max : UInt64(swap - memory)))) }
            }
        }
        if let shares = limits.cpuShares, shares > 0 {
            properties.append(isTwo ? ("CPUWeight", .uint64(UInt64(Cgroup.weight(ofShares: shares)))) : ("CPUShares", .uint64(UInt64(shares))))
        }
        add("TasksMax", limits.pidsLimit)
        properties += quota(limits)
        if isTwo {
            try properties += sets(limits)
            try properties += unified(limits.unified)
        }
        return properties
    }

    /// systemd counts in hundredths of a processor, so what is finer is rounded up; the file gets the exact value.
    private static func quota(_ limits: Cgroup.Resources) -> [SystemdManager.Property] {
        var properties: [SystemdManager.Property] = []
        let period = UInt64(clamping: limits.cpuPeriod ?? 0)
        if period != 0 { properties.append(("CPUQuotaPeriodUSec", .uint64(period))) }
        guard let quota = limits.cpuQuota, quota != 0 else { return properties }
        properties.append(("CPUQuotaPerSecUSec", .uint64(quota < 0 ? .max : perSecond(UInt64(quota), period == 0 ? 100_000 : period))))
        return properties
    }

    static func perSecond(_ quota: UInt64, _ period: UInt64) -> UInt64 {
        let (product, overflow) = quota.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return .max }
        let exact = product / period
        return exact % 10_000 == 0 ? exact : exact / 10_000 * 10_000 + 10_000
    }

    private static func sets(_ limits: Cgroup.Resources) throws -> [SystemdManager.Property] {
        var properties: [SystemdManager.Property] = []
        if let cpus = limits.cpus, !cpus.isEmpty { properties.append(("AllowedCPUs", .bytes(try bits(cpus)))) }
        if let nodes = limits.memoryNodes, !nodes.isEmpty { properties.append(("AllowedMemoryNodes", .bytes(try bits(nodes)))) }
        return properties
    }

    /// `0-2,5` as a bit for each number, the lowest first.
    static func bits(_ list: String) throws(RuntimeError) -> [UInt8] {
        var bytes: [UInt8] = []
        for part in list.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0.drop { $0 == " " }) }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last, last < 8192 else {
                throw RuntimeError("invalid list of processors or nodes: \(list)")
            }
            for number in Int(first)...Int(last) {
                while bytes.count <= number / 8 { bytes.append(0) }
                bytes[number / 8] |= 1 << (number % 8)
            }
        }
        guard !bytes.isEmpty else { throw RuntimeError("invalid list of processors or nodes: \(list)") }
        return bytes
    }

    private static func unified(_ files: [String: String]) throws -> [SystemdManager.Property] {
        let names = [
            "cpu.weight": "CPUWeight", "memory.min": "MemoryMin", "memory.low": "MemoryLow", "memory.high": "MemoryHigh",
            "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
        ]
        var properties: [SystemdManager.Property] = []
        for (file, text) in files.sorted(by: { $0.key < $1.key }) {
            let words = text.split { $0 == " " || $0 == "\n" }.map(String.init)
            guard let value = words.first else { continue }
            if let name = names[file] {
                // What is no number the kernel refuses when the file is written.
                if let number = value == "max" ? .max : UInt64(value) { properties.append((name, .uint64(number))) }
            } else if file == "cpuset.cpus" || file == "cpuset.mems" {
                properties.append((file == "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes", .bytes(try bits(value))))
            } else if file == "cpu.max" {
                let period = words.count > 1 ? UInt64(words[1]) ?? 0 : 100_000
                guard period > 0, let quota = value == "max" ? .max : UInt64(value) else { continue }
                properties.append(("CPUQuotaPeriodUSec", .uint64(period)))
                properties.append(("CPUQuotaPerSecUSec", .uint64(quota == .max ? .max : perSecond(quota, period))))
            }
        }
        return properties
    }
}
