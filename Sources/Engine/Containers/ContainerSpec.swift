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
    /// Mounts that were made already, see `ContainerMounts`.
    var made: [String: MadeMounts.Place] = [:]
    /// What devices of the host want the container to have.
    var devices: [CDIEdits] = []

    private var hostConfig: HostConfig { record.hostConfig }
    private var privileged: Bool { hostConfig.Privileged == true }

    func make() throws -> RuntimeSpec {
        let security = try SecurityOptions(hostConfig.SecurityOpt ?? [])
        let capabilities = ContainerDefaults.capabilities(
            adding: hostConfig.CapAdd?.values ?? [], dropping: hostConfig.CapDrop?.values ?? [], privileged: privileged)
        let resources = ContainerResources(hostConfig: hostConfig, privileged: privileged)
        let devices = try ContainerDevices(hostConfig: hostConfig).resolve()
        let rules = try ContainerDevices(hostConfig: hostConfig).rules(devices) + DeviceCgroupRules(hostConfig.DeviceCgroupRules ?? []).rules
        var linux = RuntimeSpec.Linux(namespaces: namespaces())
        linux.cgroupsPath = ContainerSpec.cgroup(hostConfig, record.id)
        linux.resources = try resources.make(devices: rules)
        linux.devices = devices
        linux.sysctl = sysctls()
        linux.maskedPaths = hostConfig.MaskedPaths ?? []
        linux.readonlyPaths = hostConfig.ReadonlyPaths ?? []
        linux.seccomp = seccomp(security, capabilities)
        var spec = RuntimeSpec(
            process: process(capabilities, security),
            root: RuntimeSpec.Root(path: "rootfs", readonly: hostConfig.ReadonlyRootfs == true),
            hostname: hostConfig.UTSMode == "host" ? nil : record.config.Hostname,
            domainname: hostConfig.UTSMode == "host" || (record.config.Domainname ?? "").isEmpty
                ? nil : record.config.Domainname,
            mounts: try ContainerMounts(
                record: record, paths: paths, privileged: privileged, runtime: runtime, others: stepMounts,
                writableCgroups: security.writableCgroups, made: made,
                user: .init(user: identity.uid, group: identity.gid)
            ).make(),
            annotations: hostConfig.Annotations ?? [:], linux: linux)
        try spec.apply(self.devices)
        return spec
    }

    /// A profile of the user's own holds for a privileged container as well.
    private func seccomp(_ security: SecurityOptions, _ capabilities: [String]) -> RuntimeSpec.Seccomp? {
        switch security.seccomp {
        case .unconfined: return nil
        case .builtIn:
            if privileged { return nil }
            return RuntimeSpec.Seccomp.dockerDefault(
                capabilities: capabilities, kernel: host.kernelVersion, machine: host.machine == "aarch64" ? .aarch64 : .x86_64)
        case .profile(let file):
            return file.profile(
                for: SeccompProfileFile.Place(architecture: host.architecture, capabilities: capabilities, kernel: host.kernelVersion))
        }
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
        process.apparmorProfile = security.appArmorProfile
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
