import DockerAPI
import Linux
import OCI
import SystemPackage

/// The limits of a container in the runtime's terms.
struct ContainerResources {
    let hostConfig: HostConfig
    let privileged: Bool

    /// `devices` are the rules for what the container gets on top of the harmless ones. Looks up the disks that limits name.
    func make(devices: [RuntimeSpec.DeviceRule]) throws -> RuntimeSpec.Resources {
        var resources = RuntimeSpec.Resources()
        resources.memory = memory
        resources.cpu = cpu
        if let limit = hostConfig.PidsLimit, limit != 0 { resources.pids = RuntimeSpec.Pids(limit: limit < 0 ? -1 : limit) }
        resources.blockIO = try BlockIOLimits(hostConfig).make()
        resources.devices =
            privileged
            ? [RuntimeSpec.DeviceRule(allow: true, access: "rwm")] : Self.deviceRules + devices
        return resources
    }

    private var memory: RuntimeSpec.Memory {
        var memory = RuntimeSpec.Memory()
        memory.limit = positive(hostConfig.Memory)
        memory.reservation = positive(hostConfig.MemoryReservation)
        memory.swap = hostConfig.MemorySwap == 0 ? nil : hostConfig.MemorySwap
        memory.swappiness = hostConfig.MemorySwappiness == -1 ? nil : hostConfig.MemorySwappiness
        memory.disableOOMKiller = hostConfig.OomKillDisable
        return memory
    }

    private var cpu: RuntimeSpec.CPU {
        var cpu = RuntimeSpec.CPU()
        cpu.shares = positive(hostConfig.CpuShares)
        cpu.period = positive(hostConfig.CpuPeriod)
        cpu.quota = hostConfig.CpuQuota == 0 ? nil : hostConfig.CpuQuota
        if let nano = positive(hostConfig.NanoCpus) {
            cpu.period = 100_000
            cpu.quota = nano / 10_000
        }
        cpu.cpus = (hostConfig.CpusetCpus ?? "").isEmpty ? nil : hostConfig.CpusetCpus
        cpu.mems = (hostConfig.CpusetMems ?? "").isEmpty ? nil : hostConfig.CpusetMems
        cpu.realtimePeriod = positive(hostConfig.CpuRealtimePeriod)
        cpu.realtimeRuntime = positive(hostConfig.CpuRealtimeRuntime)
        return cpu
    }

    private func positive(_ value: Int64?) -> Int64? { (value ?? 0) > 0 ? value : nil }

    /// Docker's: nothing but making nodes, the harmless devices and the container's terminals.
    private static let deviceRules: [RuntimeSpec.DeviceRule] =
        [
            RuntimeSpec.DeviceRule(allow: false, access: "rwm"),
            RuntimeSpec.DeviceRule(allow: true, type: "c", access: "m"),
            RuntimeSpec.DeviceRule(allow: true, type: "b", access: "m"),
            RuntimeSpec.DeviceRule(allow: true, type: "c", major: 136, access: "rwm"),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)].map {
            RuntimeSpec.DeviceRule(allow: true, type: "c", major: $0.0, minor: $0.1, access: "rwm")
        }
}

extension ContainerResources {
    /// The limits without device rules, for a living cgroup.
    func cgroupResources() throws -> Cgroup.Resources {
        let wanted = try make(devices: [])
        var resources = Cgroup.Resources(
            memoryLimit: wanted.memory?.limit, memoryReservation: wanted.memory?.reservation, memorySwap: wanted.memory?.swap,
            memorySwappiness: wanted.memory?.swappiness, disableOOMKiller: wanted.memory?.disableOOMKiller,
            cpuShares: wanted.cpu?.shares, cpuQuota: wanted.cpu?.quota, cpuPeriod: wanted.cpu?.period, cpus: wanted.cpu?.cpus,
            memoryNodes: wanted.cpu?.mems, pidsLimit: wanted.pids?.limit, devices: [])
        resources.realtimePeriod = wanted.cpu?.realtimePeriod
        resources.realtimeRuntime = wanted.cpu?.realtimeRuntime
        if let limits = wanted.blockIO { resources.blockIO = Cgroup.BlockIO(limits) }
        return resources
    }
}
