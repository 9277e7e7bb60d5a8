import Linux

/// What Docker gives every container that asks for nothing else.
enum ContainerDefaults {
    static let capabilities = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ]

    static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
        "/sys/firmware",
    ]

    static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

    static let searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    static let rlimits: Set<String> = [
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
        "sigpending", "stack",
    ]

    static func isCapability(_ name: String) -> Bool {
        let name = canonicalCapability(name)
        return name == "ALL" || Capability(name: name) != nil
    }

    /// `net_admin` and `CAP_NET_ADMIN` are the same; `ALL` stays.
    static func canonicalCapability(_ name: String) -> String {
        let name = name.uppercased()
        return name == "ALL" || name.hasPrefix("CAP_") ? name : "CAP_" + name
    }

    /// Docker's rule: all or the defaults, less what is dropped, plus what is added.
    static func capabilities(adding: [String], dropping: [String], privileged: Bool) -> [String] {
        let all = available()
        if privileged { return all }
        let adding = adding.map(canonicalCapability)
        let dropping = dropping.map(canonicalCapability)
        var set: [String]
        if adding.contains("ALL") {
            set = all.filter { !dropping.contains($0) }
        } else if dropping.contains("ALL") {
            set = adding
        } else {
            set = capabilities.filter { !dropping.contains($0) }
            for name in adding where !set.contains(name) { set.append(name) }
        }
        return set
    }

    /// All that the engine itself may pass on; on a machine that withholds some from it, fewer than the kernel knows.
    private static func available() -> [String] {
        // Without an answer the kernel's whole list is asked for, and the start says what is not permitted.
        let bounding = (try? CapabilitySets.current().bounding) ?? CapabilityMask.all()
        return Capability.known.filter { bounding.contains($0) }.compactMap(\.name)
    }

    /// Sysctls that a namespace of the container keeps for itself.
    static func isNamespaced(sysctl name: String) -> Bool {
        let ipc: Set<String> = [
            "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ]
        return ipc.contains(name) || name.hasPrefix("fs.mqueue.") || name.hasPrefix("net.") || name == "kernel.domainname"
    }
}
