import Linux
public import OCI

/// What this runtime can do, in the form of the OCI specification's `features`.
public func runtimeFeatures(version: String) -> JSONValue {
    let capabilities = Capability.known.compactMap(\.name).map(JSONValue.string)
    let mountOptions = [
        "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime", "loud",
        "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime",
        "nostrictatime", "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount",
        "rexec", "ridmap", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
        "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid",
        "rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync",
        "tmpcopyup", "unbindable",
    ]
    let actions = [
        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
    ]
    let operators = [
        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
    ]
    let flags: [JSONValue] = [
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]
    let policies: [JSONValue] = [
        "MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY",
        "MPOL_LOCAL",
    ]
    return [
        "ociVersionMin": "1.0.0",
        "ociVersionMax": .string(RuntimeSpec.newestVersion),
        "hooks": .array(HookKind.all.map { .string($0.rawValue) }),
        "mountOptions": .array(mountOptions.map(JSONValue.string)),
        "linux": [
            "namespaces": .array(RuntimeSpec.Namespace.Kind.allCases.map { .string($0.rawValue) }),
            "capabilities": .array(capabilities),
            "cgroup": ["v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true],
            "seccomp": [
                "enabled": true, "actions": .array(actions.map(JSONValue.string)),
                "operators": .array(operators.map(JSONValue.string)),
                "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
                "knownFlags": .array(flags), "supportedFlags": .array(flags),
            ],
            "apparmor": ["enabled": true],
            "selinux": ["enabled": true],
            "intelRdt": ["enabled": true, "schemata": true, "monitoring": true],
            "memoryPolicy": [
                "modes": .array(policies),
                "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
            ],
            "mountExtensions": ["idmap": ["enabled": true]],
            "netDevices": ["enabled": true],
        ],
        "annotations": .object([
            ("io.github.skiff.version", .string(version)),
            // Tells containerd and CRI-O that they may offer it.
            ("org.opencontainers.runc.checkpoint.enabled", "true"),
        ]),
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property."],
    ]
}
