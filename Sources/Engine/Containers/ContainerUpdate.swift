import Blocking
import DockerAPI
import Linux
import OCI

extension Container {
    /// `docker update`: limits of a living container change in place.
    func update(_ update: ContainerUpdateRequest) async throws {
        var changed = record.hostConfig
        if let value = update.CpuShares, value != 0 { changed.CpuShares = value }
        if let value = update.CpuPeriod, value != 0 { changed.CpuPeriod = value }
        if let value = update.CpuQuota, value != 0 { changed.CpuQuota = value }
        if let value = update.NanoCpus, value != 0 { changed.NanoCpus = value }
        if let value = update.CpusetCpus, !value.isEmpty { changed.CpusetCpus = value }
        if let value = update.CpusetMems, !value.isEmpty { changed.CpusetMems = value }
        if let value = update.Memory, value != 0 {
            changed.Memory = value
            if (update.MemorySwap ?? 0) == 0, (changed.MemorySwap ?? 0) > 0, changed.MemorySwap ?? 0 < value {
                throw EngineError(
                    .conflict,
                    "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
            }
        }
        if let value = update.MemoryReservation, value != 0 { changed.MemoryReservation = value }
        if let value = update.MemorySwap, value != 0 { changed.MemorySwap = value }
        if let value = update.PidsLimit, value != 0 { changed.PidsLimit = value }
        if let policy = update.RestartPolicy, !(policy.Name ?? "").isEmpty { changed.RestartPolicy = policy }
        if (update.BlkioWeight ?? 0) != 0 {
            throw EngineError(.notImplemented, "block I/O control is not available in this version of Skiff")
        }
        let normalized = try HostConfigCheck(host: context.host).normalized(changed)
        if phase.process != nil {
            let path = ContainerSpec.cgroup(record.hostConfig, id)
            let resources = ContainerResources(hostConfig: normalized, privileged: true).cgroupResources
            try await blocking { try Cgroup.open(path: path).update(resources) }
        }
        record.hostConfig = normalized
        try await save()
        publish("update")
    }
}

extension ContainerResources {
    /// The limits without device rules, for a living cgroup.
    var cgroupResources: Cgroup.Resources {
        let wanted = make(devices: [])
        return Cgroup.Resources(
            memoryLimit: wanted.memory?.limit, memoryReservation: wanted.memory?.reservation, memorySwap: wanted.memory?.swap,
            memorySwappiness: wanted.memory?.swappiness, disableOOMKiller: wanted.memory?.disableOOMKiller,
            cpuShares: wanted.cpu?.shares, cpuQuota: wanted.cpu?.quota, cpuPeriod: wanted.cpu?.period, cpus: wanted.cpu?.cpus,
            memoryNodes: wanted.cpu?.mems, pidsLimit: wanted.pids?.limit, devices: [])
    }
}
