import DockerAPI
import Linux
import Networking
import OCI
import SystemPackage

/// Turns a container's record into the runtime's config.json.
struct ContainerSpec {
    let record: ContainerRecord
    let paths: ContainerPaths
    let host: HostFacts
    let identity: UserLookup.Identity
    /// Namespaces of other containers that this one joins, by kind.
    let joined: [RuntimeSpec.Namespace.Kind: String]
    /// The runtime itself, which serves as the first process for `--init`.
    let runtime: FilePath
    /// What a build's command sees besides.
    var stepMounts: [RuntimeSpec.Mount] = []

    private var hostConfig: HostConfig { record.hostConfig }
    private var privileged: Bool { hostConfig.Privileged == true }

    func make() throws -> RuntimeSpec {
        let security = try SecurityOptions(hostConfig.SecurityOpt ?? [])
        let capabilities = ContainerDefaults.capabilities(
            adding: hostConfig.CapAdd?.values ?? [], dropping: hostConfig.CapDrop?.values ?? [], privileged: privileged)
        let resources = ContainerResources(hostConfig: hostConfig, privileged: privileged)
        let devices = try ContainerDevices(hostConfig: hostConfig).resolve()
        var linux = RuntimeSpec.Linux(namespaces: namespaces())
        linux.cgroupsPath = ContainerSpec.cgroup(hostConfig, record.id)
        linux.resources = resources.make(devices: try ContainerDevices(hostConfig: hostConfig).rules(devices))
        linux.devices = devices
        linux.sysctl = sysctls()
        linux.maskedPaths = hostConfig.MaskedPaths ?? []
        linux.readonlyPaths = hostConfig.ReadonlyPaths ?? []
        if !privileged, !security.seccompUnconfined {
            linux.seccomp = RuntimeSpec.Seccomp.dockerDefault(
                capabilities: capabilities, kernel: host.kernelVersion, machine: host.machine == "aarch64" ? .aarch64 : .x86_64)
        }
        return RuntimeSpec(
            process: process(capabilities, security),
            root: RuntimeSpec.Root(path: "rootfs", readonly: hostConfig.ReadonlyRootfs == true),
            hostname: hostConfig.UTSMode == "host" ? nil : record.config.Hostname,
            domainname: hostConfig.UTSMode == "host" || (record.config.Domainname ?? "").isEmpty
                ? nil : record.config.Domainname,
            mounts: try ContainerMounts(record: record, paths: paths, privileged: privileged, runtime: runtime, others: stepMounts).make(),
            annotations: hostConfig.Annotations ?? [:], linux: linux)
    }

    /// Where the container's limits live, the same for the supervisor, `stats` and `top`.
    static func cgroup(_ hostConfig: HostConfig, _ id: String) -> String {
        let parent = hostConfig.CgroupParent ?? ""
        return parent.isEmpty ? "/skiff/\(id)" : "\(parent.hasPrefix("/") ? "" : "/")\(parent)/\(id)"
    }

    private func process(_ capabilities: [String], _ security: SecurityOptions) -> RuntimeSpec.Process {
        let config = record.config
        let tty = config.Tty == true
        // Capabilities of a user other than root would end at execve; Docker gives them none either.
        let effective = identity.uid == 0 ? capabilities : []
        var process = RuntimeSpec.Process(
            terminal: tty,
            user: RuntimeSpec.User(uid: identity.uid, gid: identity.gid, additionalGids: identity.groups),
            args: (hostConfig.Init == true ? ["/sbin/docker-init", "--"] : []) + [record.path] + record.args,
            env: Self.environment(config, identity, tty: tty), cwd: (config.WorkingDir ?? "").isEmpty ? "/" : config.WorkingDir ?? "/")
        process.capabilities = RuntimeSpec.Capabilities(
            bounding: capabilities, effective: effective, inheritable: [], permitted: effective, ambient: [])
        process.noNewPrivileges = security.noNewPrivileges
        process.oomScoreAdj = hostConfig.OomScoreAdj.map(Int64.init)
        process.rlimits = (hostConfig.Ulimits ?? []).map {
            RuntimeSpec.Rlimit(
                type: "RLIMIT_" + ($0.Name ?? "").uppercased(), soft: $0.Soft ?? 0, hard: $0.Hard ?? $0.Soft ?? 0)
        }
        if tty, let size = hostConfig.ConsoleSize, size.count == 2, size[0] > 0, size[1] > 0 {
            process.consoleSize = RuntimeSpec.ConsoleSize(height: Int64(size[0]), width: Int64(size[1]))
        }
        return process
    }

    /// Docker's order: PATH, HOSTNAME, TERM, then what image and user say, which wins.
    static func environment(_ config: ContainerConfig, _ identity: UserLookup.Identity, tty: Bool) -> [String] {
        let given = config.Env ?? []
        let names = Set(given.map(ImageDefaults.variableName))
        var standard = [ContainerDefaults.searchPath, "HOSTNAME=\(config.Hostname ?? "")"]
        if tty { standard.append("TERM=xterm") }
        standard.append("HOME=\(identity.home)")
        let kept = standard.filter { !names.contains(ImageDefaults.variableName($0)) }
        // A name without a value removes the variable.
        return kept + given.filter { $0.contains("=") }
    }

    private func namespaces() -> [RuntimeSpec.Namespace] {
        var kinds: [RuntimeSpec.Namespace.Kind] = [.mount]
        if hostConfig.NetworkMode != "host" { kinds.append(.network) }
        if hostConfig.PidMode != "host" { kinds.append(.pid) }
        if hostConfig.IpcMode != "host" { kinds.append(.ipc) }
        if hostConfig.UTSMode != "host" { kinds.append(.uts) }
        if hostConfig.CgroupnsMode != "host" { kinds.append(.cgroup) }
        return kinds.map { RuntimeSpec.Namespace(type: $0, path: joined[$0]) }
    }

    private func sysctls() -> [String: String] {
        var sysctls = hostConfig.Sysctls ?? [:]
        // As Docker: inside, low ports and ping need no privilege.
        if hostConfig.NetworkMode != "host", joined[.network] == nil {
            for (name, value) in [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")]
            where sysctls[name] == nil { sysctls[name] = value }
        }
        return sysctls
    }
}

/// The limits of a container in the runtime's terms.
struct ContainerResources {
    let hostConfig: HostConfig
    let privileged: Bool

    /// `devices` are the rules for what the container gets on top of the harmless ones.
    func make(devices: [RuntimeSpec.DeviceRule]) -> RuntimeSpec.Resources {
        var resources = RuntimeSpec.Resources()
        var memory = RuntimeSpec.Memory()
        memory.limit = positive(hostConfig.Memory)
        memory.reservation = positive(hostConfig.MemoryReservation)
        memory.swap = hostConfig.MemorySwap == 0 ? nil : hostConfig.MemorySwap
        memory.swappiness = hostConfig.MemorySwappiness == -1 ? nil : hostConfig.MemorySwappiness
        memory.disableOOMKiller = hostConfig.OomKillDisable
        resources.memory = memory
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
        resources.cpu = cpu
        if let limit = hostConfig.PidsLimit, limit != 0 { resources.pids = RuntimeSpec.Pids(limit: limit < 0 ? -1 : limit) }
        resources.devices =
            privileged
            ? [RuntimeSpec.DeviceRule(allow: true, access: "rwm")] : Self.deviceRules + devices
        return resources
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
