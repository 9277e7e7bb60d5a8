import DockerAPI
import FoundationEssentials
import Linux
import OCI

/// The host's half of the request that makes a container.
struct HostRequest {
    let call: Invocation
    let workingDirectory: String

    func make() throws -> HostConfig {
        var host = HostConfig()
        try setResources(&host)
        try setNamespaces(&host)
        try setRights(&host)
        setNames(&host)
        host.AutoRemove = call[ContainerFlags.remove]
        host.RestartPolicy = try Self.restartPolicy(call[ContainerFlags.restart])
        guard !call[ContainerFlags.remove] || ["no", ""].contains(call[ContainerFlags.restart]) else {
            throw UsageError("conflicting options: cannot specify both --restart and --rm")
        }
        host.PublishAllPorts = call[ContainerFlags.publishAll]
        host.ReadonlyRootfs = call[ContainerFlags.readOnly]
        host.NetworkMode = try NetworkFlags(call).mode
        var log = LogConfig()
        log.Type = call[ContainerFlags.logDriver]
        log.Config = EnvironmentList.labels(call[ContainerFlags.logOption])
        host.LogConfig = log
        if let size = RawTerminal.size() { host.ConsoleSize = [Int(size.rows), Int(size.columns)] }
        return host
    }

    private func setResources(_ host: inout HostConfig) throws {
        host.Memory = call[HostFlags.memory]
        host.MemorySwap = call[HostFlags.memorySwap]
        host.MemoryReservation = call[HostFlags.memoryReservation]
        host.MemorySwappiness = call[HostFlags.memorySwappiness].flatMap { $0 == -1 ? nil : $0 }
        host.NanoCpus = call[HostFlags.processors]
        host.CpuShares = call[HostFlags.cpuShares]
        host.CpuPeriod = call[HostFlags.cpuPeriod]
        host.CpuQuota = call[HostFlags.cpuQuota]
        host.CpusetCpus = text(HostFlags.cpusetCpus)
        host.CpusetMems = text(HostFlags.cpusetMems)
        host.BlkioWeight = call[HostFlags.blkioWeight].map { Int($0) }
        host.BlkioWeightDevice = try list(HostFlags.blkioWeightDevice)?.map { try DeviceLimitFlag.weight($0) }
        host.BlkioDeviceReadBps = try list(HostFlags.deviceReadBps)?.map { try DeviceLimitFlag.bytes($0) }
        host.BlkioDeviceWriteBps = try list(HostFlags.deviceWriteBps)?.map { try DeviceLimitFlag.bytes($0) }
        host.BlkioDeviceReadIOps = try list(HostFlags.deviceReadIOps)?.map { try DeviceLimitFlag.operations($0) }
        host.BlkioDeviceWriteIOps = try list(HostFlags.deviceWriteIOps)?.map { try DeviceLimitFlag.operations($0) }
        host.CpuRealtimePeriod = call[HostFlags.realtimePeriod]
        host.CpuRealtimeRuntime = call[HostFlags.realtimeRuntime]
        host.CpuCount = call[HostFlags.cpuCount]
        host.CpuPercent = call[HostFlags.cpuPercent]
        host.IOMaximumBandwidth = call[HostFlags.ioMaxBandwidth]
        host.IOMaximumIOps = call[HostFlags.ioMaxOperations]
        host.Isolation = text(ContainerFlags.isolation)
        host.PidsLimit = call[HostFlags.pidsLimit]
        host.NetworkInBps = call[HostFlags.netIn]
        host.NetworkOutBps = call[HostFlags.netOut]
        host.OomScoreAdj = call[HostFlags.oomScoreAdj].map { Int($0) }
        if call[HostFlags.oomKillDisable] { host.OomKillDisable = true }
        host.ShmSize = call[HostFlags.shmSize]
        host.CgroupParent = text(HostFlags.cgroupParent)
        if call.flags.isGiven(ContainerFlags.initProcess) { host.Init = call[ContainerFlags.initProcess] }
    }

    private func setNamespaces(_ host: inout HostConfig) throws {
        for (flag, word, known) in [
            (HostFlags.userNamespace, "USER", ["", "host"]), (HostFlags.cgroupNamespace, "CGROUP", ["", "host", "private"]),
            (HostFlags.uts, "UTS", ["", "host"]),
        ] where !known.contains(call[flag]) {
            throw UsageError("--\(flag.name): invalid \(word) mode")
        }
        host.PidMode = text(HostFlags.pid)
        host.IpcMode = text(HostFlags.ipc)
        host.UTSMode = text(HostFlags.uts)
        host.UsernsMode = text(HostFlags.userNamespace)
        host.CgroupnsMode = text(HostFlags.cgroupNamespace)
    }

    private func setRights(_ host: inout HostConfig) throws {
        host.Privileged = call[HostFlags.privileged]
        host.CapAdd = list(HostFlags.capAdd).map { Self.capabilities($0) }
        host.CapDrop = list(HostFlags.capDrop).map { Self.capabilities($0) }
        host.GroupAdd = list(HostFlags.groupAdd)
        let (named, paths) = DeviceRequestFlag.split(call[HostFlags.device])
        if !paths.isEmpty { host.Devices = try paths.map { try Self.device($0) } }
        var requests = try call[HostFlags.gpus].map { try DeviceRequestFlag.gpus($0) }
        if let named { requests.append(named) }
        if !requests.isEmpty { host.DeviceRequests = requests }
        host.DeviceCgroupRules = list(HostFlags.deviceRule)
        host.Ulimits = try list(HostFlags.ulimit)?.map { try Self.ulimit($0) }
        host.Sysctls = list(HostFlags.sysctl).map { EnvironmentList.labels($0) }
        for option in call[HostFlags.securityOption] { try add(securityOption: option, &host) }
    }

    private func setNames(_ host: inout HostConfig) {
        host.Dns = list(HostFlags.dns)
        host.DnsOptions = list(HostFlags.dnsOption)
        host.DnsSearch = list(HostFlags.dnsSearch)
        host.ExtraHosts = list(HostFlags.addHost)?.map { entry in
            guard let mark = entry.firstIndex(where: { $0 == "=" || $0 == ":" }) else { return entry }
            return "\(entry[..<mark]):\(entry[entry.index(after: mark)...])"
        }
        host.Links = list(ContainerFlags.link)
        host.VolumeDriver = text(ContainerFlags.volumeDriver)
        host.Runtime = text(ContainerFlags.runtime)
        host.StorageOpt = list(ContainerFlags.storageOption).map { EnvironmentList.labels($0) }
        host.Annotations = list(ContainerFlags.annotation).map { EnvironmentList.labels($0) }
    }

    private func text(_ flag: Flag<String>) -> String? { call[flag].isEmpty ? nil : call[flag] }
    private func list(_ flag: Flag<[String]>) -> [String]? { call[flag].isEmpty ? nil : call[flag] }

    // MARK: Values

    /// `net_admin` is `CAP_NET_ADMIN`; each once.
    static func capabilities(_ names: [String]) -> StrSlice {
        let full = names.map { $0.uppercased() }.map { $0 == "ALL" || $0.hasPrefix("CAP_") ? $0 : "CAP_\($0)" }
        return StrSlice(Set(full).sorted())
    }

    /// `always`, `on-failure:3`
    static func restartPolicy(_ text: String) throws -> RestartPolicy {
        var policy = RestartPolicy()
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        policy.Name = parts.first.map(String.init) ?? ""
        policy.MaximumRetryCount = 0
        if parts.count == 2 {
            guard let count = Int(parts[1]) else {
                throw UsageError("invalid restart policy format: maximum retry count must be an integer")
            }
            policy.MaximumRetryCount = count
        } else if parts.count > 2 {
            throw UsageError("invalid restart policy format")
        }
        return policy
    }

    /// `nofile=1024:2048`
    static func ulimit(_ text: String) throws -> Ulimit {
        let failure = FlagValueError("invalid ulimit argument: \(text)")
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { throw failure }
        let limits = parts[1].split(separator: ":")
        guard (1...2).contains(limits.count), let soft = Int64(limits[0]), let hard = Int64(limits[limits.count - 1]) else {
            throw failure
        }
        guard hard == -1 || soft != -1 && soft <= hard else {
            throw FlagValueError("ulimit soft limit must be less than or equal to hard limit: \(soft) > \(hard)")
        }
        var ulimit = Ulimit()
        (ulimit.Name, ulimit.Soft, ulimit.Hard) = (String(parts[0]), soft, hard)
        return ulimit
    }

    /// `/dev/a`, `/dev/a:/dev/b`, `/dev/a:/dev/b:rw`, `/dev/a:rw`
    static func device(_ text: String) throws -> DeviceMapping {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        func isRights(_ text: String) -> Bool { !text.isEmpty && text.allSatisfy { "rwm".contains($0) } }
        guard (1...3).contains(parts.count), !parts[0].isEmpty else {
            throw UsageError("invalid device specification: \(text)")
        }
        var device = DeviceMapping()
        device.PathOnHost = parts[0]
        device.PathInContainer = parts[0]
        device.CgroupPermissions = "rwm"
        if parts.count > 1, isRights(parts[1]), parts.count == 2 {
            device.CgroupPermissions = parts[1]
        } else if parts.count > 1, !parts[1].isEmpty {
            device.PathInContainer = parts[1]
        }
        if parts.count == 3 {
            guard isRights(parts[2]) else { throw UsageError("invalid device specification: \(text)") }
            device.CgroupPermissions = parts[2]
        }
        return device
    }

    /// A seccomp profile is read here, since the file is the client's; `systempaths` never leaves the client.
    private func add(securityOption option: String, _ host: inout HostConfig) throws {
        if option == "systempaths=unconfined" {
            host.MaskedPaths = []
            host.ReadonlyPaths = []
            return
        }
        guard option == "no-new-privileges" || option.contains("=") || option.contains(":") else {
            throw UsageError("Invalid --security-opt: \"\(option)\"")
        }
        var value = option
        let profile = option.dropFirst("seccomp=".count)
        if option.hasPrefix("seccomp="), !["unconfined", "builtin"].contains(profile) {
            guard let content = FileManager.default.contents(atPath: String(profile)) else {
                throw UsageError("opening seccomp profile (\(profile)) failed: open \(profile): no such file or directory")
            }
            do {
                value = "seccomp=" + String(decoding: try JSONValue.parse(Array(content)).serialized(), as: UTF8.self)
            } catch {
                throw UsageError("compacting json for seccomp profile (\(profile)) failed: \(error)")
            }
        }
        host.SecurityOpt = (host.SecurityOpt ?? []) + [value]
    }
}
