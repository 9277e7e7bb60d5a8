import DockerAPI
import Linux

/// Checks the part of a request that concerns the host, fills in Docker's defaults, and refuses what is not available
/// rather than ignoring it.
struct HostConfigCheck {
    let host: HostFacts

    func normalized(_ given: HostConfig) throws(EngineError) -> HostConfig {
        var config = given
        try PortBindings.checkNumber(config.PortBindings ?? [:])
        try checkResources(config)
        try checkRestart(config)
        try checkSurroundings(config)
        try checkSecurity(config)
        if (config.NetworkMode ?? "").isEmpty || config.NetworkMode == "default" { config.NetworkMode = "bridge" }
        if (config.ShmSize ?? 0) == 0 { config.ShmSize = 64 << 20 }
        if (config.IpcMode ?? "").isEmpty { config.IpcMode = "private" }
        if (config.CgroupnsMode ?? "").isEmpty { config.CgroupnsMode = config.Privileged == true ? "host" : "private" }
        if (config.Runtime ?? "").isEmpty { config.Runtime = "skiff-runtime" }
        if (config.RestartPolicy?.Name ?? "").isEmpty {
            var policy = RestartPolicy()
            policy.Name = "no"
            policy.MaximumRetryCount = 0
            config.RestartPolicy = policy
        }
        if (config.LogConfig?.Type ?? "").isEmpty {
            var log = config.LogConfig ?? LogConfig()
            log.Type = "json-file"
            log.Config = log.Config ?? [:]
            config.LogConfig = log
        }
        if let memory = config.Memory, memory > 0, (config.MemorySwap ?? 0) == 0 { config.MemorySwap = memory > Int64.max / 2 ? -1 : memory * 2 }
        config.MaskedPaths = config.MaskedPaths ?? (config.Privileged == true ? [] : ContainerDefaults.maskedPaths)
        config.ReadonlyPaths = config.ReadonlyPaths ?? (config.Privileged == true ? [] : ContainerDefaults.readonlyPaths)
        return config
    }

    private func checkResources(_ config: HostConfig) throws(EngineError) {
        let memory = config.Memory ?? 0
        if memory != 0, memory < 6 << 20 {
            throw EngineError(.invalidArgument, "Minimum memory limit allowed is 6MB")
        }
        if let swap = config.MemorySwap, swap > 0 {
            guard memory > 0 else {
                throw EngineError(.invalidArgument, "You should always set the Memory limit when using Memoryswap limit, see usage")
            }
            guard swap >= memory else {
                throw EngineError(.invalidArgument, "Minimum memoryswap limit should be larger than memory limit, see usage")
            }
        }
        if let reservation = config.MemoryReservation, reservation > 0, memory > 0, reservation > memory {
            throw EngineError(
                .invalidArgument, "Minimum memory limit can not be less than memory reservation limit, see usage")
        }
        if let nano = config.NanoCpus, nano != 0 {
            guard nano > 0, nano <= Int64(host.processors) * 1_000_000_000 else {
                throw EngineError(
                    .invalidArgument,
                    "range of CPUs is from 0.01 to \(host.processors).00, as there are only \(host.processors) CPUs available")
            }
            for (name, other) in [("Period", config.CpuPeriod), ("Quota", config.CpuQuota)] where (other ?? 0) > 0 {
                throw EngineError(.invalidArgument, "Conflicting options: Nano CPUs and CPU \(name) cannot both be set")
            }
        }
        if let period = config.CpuPeriod, period != 0, !(1000...1_000_000).contains(period) {
            throw EngineError(
                .invalidArgument, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
        }
        if let quota = config.CpuQuota, quota > 0, quota < 1000 {
            throw EngineError(.invalidArgument, "CPU cfs quota can not be less than 1ms (i.e. 1000)")
        }
        try checkMemory(config)
        try Self.check(config.CpusetCpus, "cpus", "CPUs", host.processorList)
        try Self.check(config.CpusetMems, "mems", "memory nodes", host.memoryNodeList)
        try BlockIOLimits(config).check()
        if (config.IOMaximumBandwidth ?? 0) != 0 || (config.IOMaximumIOps ?? 0) != 0 {
            throw EngineError(.invalidArgument, "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")
        }
        if let period = config.CpuRealtimePeriod, let runtime = config.CpuRealtimeRuntime, period != 0, runtime > period {
            throw EngineError(.invalidArgument, "cpu real-time runtime cannot be higher than cpu real-time period")
        }
        try checkRates(config)
        if let size = config.ShmSize, size < 0 { throw EngineError(.invalidArgument, "SHM size can not be less than 0") }
        if let score = config.OomScoreAdj, !(-1000...1000).contains(score) {
            throw EngineError(.invalidArgument, "Invalid value \(score), range for oom score adj is [-1000, 1000]")
        }
    }

    private static func check(_ text: String?, _ setting: String, _ things: String, _ available: String) throws(EngineError) {
        guard let text, !text.isEmpty else { return }
        guard let wanted = NumberList(text) else {
            throw EngineError(.invalidArgument, "Invalid value \(text.prefix(80)) for cpuset \(setting)")
        }
        guard NumberList(available)?.contains(wanted) != false else {
            throw EngineError(.invalidArgument, "Requested \(things) are not available - requested \(text.prefix(80)), available: \(available)")
        }
    }

    private func checkMemory(_ config: HostConfig) throws(EngineError) {
        if let reservation = config.MemoryReservation, reservation > 0, reservation < 6 << 20 {
            throw EngineError(.invalidArgument, "Minimum memory reservation allowed is 6MB")
        }
        if let swappiness = config.MemorySwappiness, swappiness != -1, !(0...100).contains(swappiness) {
            throw EngineError(.invalidArgument, "Invalid value: \(swappiness), valid memory swappiness range is 0-100")
        }
    }

    private func checkRates(_ config: HostConfig) throws(EngineError) {
        let rates = [config.NetworkInBps ?? 0, config.NetworkOutBps ?? 0].filter { $0 != 0 }
        guard !rates.isEmpty else { return }
        guard rates.allSatisfy({ (1000...125_000_000_000).contains($0) }) else {
            throw EngineError(.invalidArgument, "limits of a network's rate go from 8kbit to 1000gbit")
        }
        let mode = config.NetworkMode ?? ""
        guard !["host", "none"].contains(mode), !mode.hasPrefix("container:") else {
            throw EngineError(.invalidArgument, "conflicting options: limits of a network's rate and the network mode \(mode.prefix(9))")
        }
    }

    private func checkRestart(_ config: HostConfig) throws(EngineError) {
        let name = config.RestartPolicy?.Name ?? ""
        guard ["", "no", "always", "unless-stopped", "on-failure", "on-unhealthy"].contains(name) else {
            throw EngineError(
                .invalidArgument, "invalid restart policy: unknown policy '\(name)'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'")
        }
        let retries = config.RestartPolicy?.MaximumRetryCount ?? 0
        if retries != 0, name != "on-failure", name != "on-unhealthy" {
            throw EngineError(.invalidArgument, "invalid restart policy: maximum retry count can only be used with 'on-failure'")
        }
        if retries < 0 {
            throw EngineError(.invalidArgument, "invalid restart policy: maximum retry count cannot be negative")
        }
        if config.AutoRemove == true, !["", "no"].contains(name) {
            throw EngineError(.invalidArgument, "can't create 'AutoRemove' container with restart policy")
        }
    }

    private func checkSurroundings(_ config: HostConfig) throws(EngineError) {
        if !(config.StorageOpt ?? [:]).isEmpty {
            throw EngineError(
                .invalidArgument, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
        }
        guard ["", "host"].contains(config.UsernsMode ?? "") else {
            throw EngineError(.invalidArgument, "invalid user namespace mode: \(config.UsernsMode ?? "")")
        }
        guard ["", "default"].contains(config.Isolation ?? "") else {
            throw EngineError(.invalidArgument, "Invalid isolation: \"\(config.Isolation ?? "")\" is not supported on linux")
        }
        guard ["", "local"].contains(config.VolumeDriver ?? "") else {
            throw EngineError(
                .notFound, "error looking up volume plugin \(config.VolumeDriver ?? ""): plugin \"\(config.VolumeDriver ?? "")\" not found")
        }
        for name in (config.Annotations ?? [:]).keys where name.isEmpty {
            throw EngineError(.invalidArgument, "invalid Annotation: the empty string is not permitted as an annotation key")
        }
        _ = try LogOptions(config.LogConfig)
        let runtime = config.Runtime ?? ""
        guard ["", "skiff-runtime", "runc"].contains(runtime) else {
            throw EngineError(.invalidArgument, "unknown or invalid runtime name: \(runtime)")
        }
        for (name, value) in [("ipc", config.IpcMode), ("pid", config.PidMode), ("uts", config.UTSMode)] {
            let mode = value ?? ""
            let known = ["", "private", "host"] + (name == "ipc" ? ["none", "shareable"] : [])
            guard known.contains(mode) || (name != "uts" && mode.hasPrefix("container:")) else {
                throw EngineError(.invalidArgument, "invalid \(name.uppercased()) mode: \(mode)")
            }
        }
        guard ["", "private", "host"].contains(config.CgroupnsMode ?? "") else {
            throw EngineError(.invalidArgument, "invalid cgroup namespace mode: \(config.CgroupnsMode ?? "")")
        }
    }

    private func checkSecurity(_ config: HostConfig) throws(EngineError) {
        _ = try SecurityOptions(config.SecurityOpt ?? [])
        _ = try DeviceCgroupRules(config.DeviceCgroupRules ?? [])
        for name in (config.CapAdd?.values ?? []) + (config.CapDrop?.values ?? []) {
            guard ContainerDefaults.isCapability(name) else {
                throw EngineError(.invalidArgument, "invalid capability: \"\(name)\"")
            }
        }
        for limit in config.Ulimits ?? [] {
            guard ContainerDefaults.rlimits.contains(limit.Name ?? "") else {
                throw EngineError(.invalidArgument, "invalid ulimit type: \(limit.Name ?? "")")
            }
            if let soft = limit.Soft, let hard = limit.Hard, hard != -1, soft > hard || soft == -1 {
                throw EngineError(.invalidArgument, "ulimit soft limit must be less than or equal to hard limit: \(soft) > \(hard)")
            }
        }
        for (name, value) in config.Sysctls ?? [:] {
            let known = name.utf8.allSatisfy {
                ($0 >= 97 && $0 <= 122) || ($0 >= 65 && $0 <= 90) || ($0 >= 48 && $0 <= 57) || $0 == 95 || $0 == 46 || $0 == 45
            }
            guard known, !value.utf8.contains(10), !value.utf8.contains(0), ContainerDefaults.isNamespaced(sysctl: name) else {
                throw EngineError(.invalidArgument, "sysctl '\(name)' is not allowed")
            }
        }
    }
}
