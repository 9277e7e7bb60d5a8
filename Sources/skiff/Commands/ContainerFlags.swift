/// The flags that `run` and `create` share.
enum ContainerFlags {
    static let attach = Flag<[String]>.list("attach", short: "a", "Attach to STDIN, STDOUT or STDERR") {
        guard ["stdin", "stdout", "stderr"].contains($0.lowercased()) else {
            throw FlagValueError("valid streams are STDIN, STDOUT and STDERR")
        }
    }
    static let name = Flag<String>.text("name", "Name of the container")
    static let interactive = Flag<Bool>.toggle("interactive", short: "i", "Keep standard input open, attached or not")
    static let tty = Flag<Bool>.toggle("tty", short: "t", "Give the container a terminal")
    static let remove = Flag<Bool>.toggle("rm", "Remove the container and its anonymous volumes when it exits")
    static let env = Flag<[String]>.list("env", short: "e", "Set an environment variable") {
        guard !$0.hasPrefix("=") else { throw FlagValueError("invalid environment variable: \($0)") }
    }
    static let envFile = Flag<[String]>.list("env-file", "Read environment variables from a file")
    static let volume = Flag<[String]>.list("volume", short: "v", "Mount a folder of the host or a volume")
    static let mount = Flag<[String]>.list("mount", as: "mount", "Mount something, described by key=value pairs") {
        _ = try MountFlag.parse($0, workingDirectory: "/")
    }
    static let apiSocket = Flag<String>.text(
        "api-socket", "Give the container a socket of the engine at /var/run/docker.sock, for what the scope allows: read-only or project")
    static let volumesFrom = Flag<[String]>.list("volumes-from", "Mount the volumes of another container")
    static let volumeDriver = Flag<String>.text("volume-driver", "Driver of the volumes that the container makes")
    static let publish = Flag<[String]>.list("publish", short: "p", "Publish a port of the container on the host")
    static let publishAll = Flag<Bool>.toggle("publish-all", short: "P", "Publish every exposed port on a free port of the host")
    static let expose = Flag<[String]>.list("expose", "Declare a port or a range of ports")
    static let workdir = Flag<String>.text("workdir", short: "w", "Working directory inside the container")
    static let user = Flag<String>.text("user", short: "u", "User name or uid, with an optional :group")
    static let entrypoint = Flag<String?>.optional("entrypoint", "Replace the entry point of the image")
    static let hostname = Flag<String>.text("hostname", short: "h", "Host name inside the container")
    static let domainname = Flag<String>.text("domainname", "NIS domain name inside the container")
    static let label = Flag<[String]>.list("label", short: "l", "Set a label of the container") {
        guard !$0.hasPrefix("=") else { throw FlagValueError("invalid label '\($0)': empty name") }
    }
    static let labelFile = Flag<[String]>.list("label-file", "Read labels from a file")
    static let annotation = Flag<[String]>.list("annotation", as: "map", "Add an annotation for the OCI runtime")
    static let platform = Flag<String>.text("platform", "Platform of the image: os[/arch[/variant]]")
    static let pull = Flag<String>.text("pull", initially: "missing", "When to pull the image: always, missing or never")
    static let quiet = Flag<Bool>.toggle("quiet", short: "q", "Do not show the progress of a pull")
    static let cidfile = Flag<String>.text("cidfile", "Write the id of the container to this file")
    static let readOnly = Flag<Bool>.toggle("read-only", "Mount the root filesystem read-only")
    static let tmpfs = Flag<[String]>.list("tmpfs", "Mount a tmpfs: path[:options]")
    static let initProcess = Flag<Bool>.toggle("init", "Run a small init that forwards signals and reaps processes")
    static let stopSignal = Flag<String>.text("stop-signal", "Signal that stops the container")
    static let stopTimeout = Flag<Int64?>.integer("stop-timeout", "Seconds to wait before a stopped container is killed")
    static let restart = Flag<String>.text(
        "restart", initially: "no", "When to start it again: no, on-failure[:max-retries], on-unhealthy[:max-retries], always, unless-stopped")
    static let logDriver = Flag<String>.text("log-driver", "Log driver of the container")
    static let logOption = Flag<[String]>.list("log-opt", "Option of the log driver")
    static let runtime = Flag<String>.text("runtime", "OCI runtime of the container")
    static let storageOption = Flag<[String]>.list("storage-opt", "Option of the storage driver")
    static let isolation = Flag<String>.text("isolation", "Isolation technology; only \"default\" exists on Linux")
    static let link = Flag<[String]>.list("link", "Add a link to another container")

    static let health: [any FlagDefinition] = [
        healthCommand, healthHTTP, healthTCP, healthInterval, healthRetries, healthStartInterval, healthStartPeriod, healthTimeout, noHealthcheck,
    ]
    static let healthCommand = Flag<String>.text("health-cmd", "Command that tells whether the container is healthy")
    static let healthHTTP = Flag<String>.text(
        "health-http", as: "url", "Page that tells whether the container is healthy: http://localhost:8080/path, asked for by the engine")
    static let healthTCP = Flag<String>.text("health-tcp", as: "port", "Port of the container that has to take connections to be healthy")
    static let healthInterval = Flag<Int64?>.duration("health-interval", "Time between two health checks")
    static let healthRetries = Flag<Int64?>.integer("health-retries", "Failures in a row that make a container unhealthy")
    static let healthStartInterval = Flag<Int64?>.duration("health-start-interval", "Time between two checks while the container starts")
    static let healthStartPeriod = Flag<Int64?>.duration("health-start-period", "Time to start in which failures do not count")
    static let healthTimeout = Flag<Int64?>.duration("health-timeout", "Longest time of one check")
    static let noHealthcheck = Flag<Bool>.toggle("no-healthcheck", "Turn off the health check of the image")

    static var all: [any FlagDefinition] {
        [
            attach, name, interactive, tty, remove, env, envFile, volume, mount, apiSocket, volumesFrom, volumeDriver, publish,
            publishAll, expose, workdir, user, entrypoint, hostname, domainname, label, labelFile, annotation, platform,
            pull, quiet, cidfile, readOnly, tmpfs, initProcess, stopSignal, stopTimeout, restart, logDriver, logOption,
            runtime, storageOption, link,
            isolation, Flag<Bool>.toggle("disable-content-trust", initially: true, "Ignored").hidden(),
        ] + health + HostFlags.all
    }
}

/// Those of the shared flags that say what the container gets from its host.
enum HostFlags {
    static let memory = Flag<Int64?>.bytes("memory", short: "m", "Memory limit")
    static let memorySwap = Flag<Int64?>.bytes("memory-swap", "Limit of memory and swap together; -1 is unlimited", orUnlimited: true)
    static let memoryReservation = Flag<Int64?>.bytes("memory-reservation", "Soft memory limit")
    static let memorySwappiness = Flag<Int64?>.integer("memory-swappiness", "How readily memory is swapped, 0 to 100")
    static let kernelMemory = Flag<Int64?>.bytes("kernel-memory", "Ignored")
    static let processors = Flag<Int64?>.processors("cpus", "Number of processors")
    static let cpuShares = Flag<Int64?>.integer("cpu-shares", short: "c", "Relative weight of processor time")
    static let cpuPeriod = Flag<Int64?>.integer("cpu-period", "Period of the processor limit in microseconds")
    static let cpuQuota = Flag<Int64?>.integer("cpu-quota", "Processor time per period in microseconds")
    static let cpusetCpus = Flag<String>.text("cpuset-cpus", "Processors that may be used (0-3, 0,1)")
    static let cpusetMems = Flag<String>.text("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)")
    static let blkioWeight = Flag<Int64?>.integer("blkio-weight", "Relative weight of block devices, 10 to 1000")
    static let blkioWeightDevice = Flag<[String]>.list("blkio-weight-device", "Relative weight of one block device: path:weight") {
        _ = try DeviceLimitFlag.weight($0)
    }
    static let deviceReadBps = Flag<[String]>.list("device-read-bps", "Limit of reading from a device: path:bytes per second") {
        _ = try DeviceLimitFlag.bytes($0)
    }
    static let deviceWriteBps = Flag<[String]>.list("device-write-bps", "Limit of writing to a device: path:bytes per second") {
        _ = try DeviceLimitFlag.bytes($0)
    }
    static let deviceReadIOps = Flag<[String]>.list("device-read-iops", "Limit of reading from a device: path:operations per second") {
        _ = try DeviceLimitFlag.operations($0)
    }
    static let deviceWriteIOps = Flag<[String]>.list("device-write-iops", "Limit of writing to a device: path:operations per second") {
        _ = try DeviceLimitFlag.operations($0)
    }
    static let realtimePeriod = Flag<Int64?>.integer("cpu-rt-period", "Period of the limit for real-time processes in microseconds")
    static let realtimeRuntime = Flag<Int64?>.integer("cpu-rt-runtime", "Time for real-time processes in each period in microseconds")
    static let gpus = Flag<[String]>.list("gpus", as: "gpu-request", "Graphics processors: all, a number, or device=ID,ID") {
        _ = try DeviceRequestFlag.gpus($0)
    }
    static let cpuCount = Flag<Int64?>.integer("cpu-count", "Only on Windows").hidden()
    static let cpuPercent = Flag<Int64?>.integer("cpu-percent", "Only on Windows").hidden()
    static let ioMaxBandwidth = Flag<Int64?>.bytes("io-maxbandwidth", "Only on Windows").hidden()
    static let ioMaxOperations = Flag<Int64?>.integer("io-maxiops", "Only on Windows").hidden()
    static let linkLocalAddress = Flag<[String]>.list("link-local-ip", "Link-local address")
    static let netIn = Flag<Int64?>.rate("net-in", "The most that it receives: 10mbit, or bytes per second as 1m; 0 is unlimited")
    static let netOut = Flag<Int64?>.rate("net-out", "The most that it sends: 10mbit, or bytes per second as 1m; 0 is unlimited")
    static let pidsLimit = Flag<Int64?>.integer("pids-limit", "Most processes and threads; -1 is unlimited")
    static let oomKillDisable = Flag<Bool>.toggle("oom-kill-disable", "Turn off the kernel's OOM killer")
    static let oomScoreAdj = Flag<Int64?>.integer("oom-score-adj", "How readily the kernel kills it, -1000 to 1000")
    static let ulimit = Flag<[String]>.list("ulimit", as: "ulimit", "Resource limit: name=soft[:hard]") {
        _ = try HostRequest.ulimit($0)
    }
    static let shmSize = Flag<Int64?>.bytes("shm-size", "Size of /dev/shm")
    static let cgroupParent = Flag<String>.text("cgroup-parent", "Cgroup above the container's")
    static let cgroupNamespace = Flag<String>.text("cgroupns", "Cgroup namespace: host or private")
    static let network = Flag<[String]>.list("network", as: "network", "Network of the container")
    static let networkAlias = Flag<[String]>.list("network-alias", "Name of the container in its network")
    static let address = Flag<String>.text("ip", as: "ip", "IPv4 address")
    static let address6 = Flag<String>.text("ip6", as: "ip", "IPv6 address")
    static let macAddress = Flag<String>.text("mac-address", "MAC address")
    static let addHost = Flag<[String]>.list("add-host", "Add a line to /etc/hosts: host:ip") {
        guard let separator = $0.firstIndex(where: { $0 == "=" || $0 == ":" }), separator > $0.startIndex,
            $0.index(after: separator) < $0.endIndex
        else { throw FlagValueError("bad format for add-host: \"\($0)\"") }
    }
    static let dns = Flag<[String]>.list("dns", "DNS server") {
        guard $0.contains(".") || $0.contains(":"), $0.allSatisfy({ $0.isHexDigit || ".:%".contains($0) }) else {
            throw FlagValueError("IP address is not correctly formatted: \($0)")
        }
    }
    static let dnsOption = Flag<[String]>.list("dns-option", "Option of the resolver")
    static let dnsSearch = Flag<[String]>.list("dns-search", "Search domain")
    static let capAdd = Flag<[String]>.list("cap-add", "Add a capability")
    static let capDrop = Flag<[String]>.list("cap-drop", "Drop a capability")
    static let privileged = Flag<Bool>.toggle("privileged", "Give the container all rights over the host")
    static let securityOption = Flag<[String]>.list("security-opt", "Security option")
    static let device = Flag<[String]>.list("device", "Add a device of the host: path[:path][:rwm], or vendor.com/class=name")
    static let deviceRule = Flag<[String]>.list("device-cgroup-rule", "Add a rule to the list of allowed devices") {
        guard DeviceLimitFlag.isCgroupRule($0) else { throw FlagValueError("invalid device cgroup format '\($0)'") }
    }
    static let groupAdd = Flag<[String]>.list("group-add", "Add a supplementary group")
    static let pid = Flag<String>.text("pid", "PID namespace: host or container:name")
    static let ipc = Flag<String>.text("ipc", "IPC mode: none, private, shareable, host or container:name")
    static let uts = Flag<String>.text("uts", "UTS namespace: host")
    static let userNamespace = Flag<String>.text("userns", "User namespace: host")
    static let sysctl = Flag<[String]>.list("sysctl", as: "map", "Kernel setting of the container") {
        guard $0.contains("=") else { throw FlagValueError("invalid sysctl '\($0)': must be formatted as key=value") }
    }

    /// The limits that `update` can change as well.
    static var limits: [any FlagDefinition] {
        [
            memory, memorySwap, memoryReservation, kernelMemory.hidden(), processors, cpuShares, cpuPeriod, cpuQuota,
            cpusetCpus, cpusetMems, blkioWeight, pidsLimit, realtimePeriod, realtimeRuntime, netIn, netOut,
        ]
    }

    static var all: [any FlagDefinition] {
        limits + [
            memorySwappiness, oomKillDisable, oomScoreAdj, ulimit, shmSize, cgroupParent, cgroupNamespace, network,
            RenamedFlag(name: "net", of: network), networkAlias, RenamedFlag(name: "net-alias", of: networkAlias),
            address, address6, macAddress, addHost, dns, dnsOption, RenamedFlag(name: "dns-opt", of: dnsOption),
            dnsSearch, capAdd, capDrop, privileged, securityOption, device, deviceRule, groupAdd, pid, ipc, uts,
            userNamespace, sysctl, blkioWeightDevice, deviceReadBps, deviceWriteBps, deviceReadIOps, deviceWriteIOps, gpus,
            cpuCount, cpuPercent, ioMaxBandwidth, ioMaxOperations, linkLocalAddress,
        ]
    }
}
