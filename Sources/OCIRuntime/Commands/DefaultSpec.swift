import Linux
import OCI
public import SystemPackage

/// `spec`: writes a configuration to begin with, as runc's is. One that exists is an error.
public func writeDefaultSpec(in bundle: FilePath, rootless: Bool) throws {
    let spec = DefaultSpec(isRootless: rootless).spec
    let directory: OwnedFD
    do {
        directory = try OwnedFD.open(bundle, [.path, .directory])
    } catch {
        throw RuntimeError("chdir \(bundle): \(error.errno.goText)")
    }
    do {
        let file = try OwnedFD.open("config.json", in: directory, [.writeOnly, .create, .exclusive], mode: 0o666)
        try file.writeAll(spec.json().serialized(indented: true) + [0x0A])
    } catch {
        throw error.errno == .fileExists ? RuntimeError("File config.json exists. Remove it first") : error
    }
}

/// A shell in a root file system below the bundle, with few rights.
struct DefaultSpec {
    let isRootless: Bool

    var spec: RuntimeSpec {
        var spec = RuntimeSpec(ociVersion: RuntimeSpec.newestVersion, hostname: "skiff")
        let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        spec.process = RuntimeSpec.Process(
            terminal: true, args: ["sh"],
            env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"], cwd: "/",
            capabilities: .init(bounding: capabilities, effective: capabilities, permitted: capabilities),
            rlimits: [.init(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)], noNewPrivileges: true)
        spec.root = .init(path: "rootfs", readonly: true)
        spec.mounts = mounts
        spec.linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        spec.linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        var kinds: [RuntimeSpec.Namespace.Kind] = [.pid, .ipc, .uts, .mount]
        kinds.append(isRootless ? .user : .network)
        // Where it cannot be asked, there is no cgroup either.
        if (try? Cgroup.isVersionTwo()) == true { kinds.append(.cgroup) }
        spec.linux.namespaces = kinds.map { .init(type: $0) }
        if isRootless {
            spec.linux.uidMappings = [.init(containerID: 0, hostID: CurrentProcess.effectiveUserID, size: 1)]
            spec.linux.gidMappings = [.init(containerID: 0, hostID: CurrentProcess.effectiveGroupID, size: 1)]
        } else {
            spec.linux.resources = .init(devices: [.init(allow: false, access: "rwm")])
        }
        return spec
    }

    private var mounts: [RuntimeSpec.Mount] {
        let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] + (isRootless ? [] : ["gid=5"])
        var mounts: [RuntimeSpec.Mount] = [
            .init(destination: "/proc", type: "proc", source: "proc"),
            .init(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            .init(destination: "/dev/pts", type: "devpts", source: "devpts", options: terminals),
            .init(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            .init(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
        ]
        // The kernel shows a new view of its devices only to whoever owns the network namespace.
        if isRootless {
            mounts.append(.init(destination: "/sys", type: "none", source: "/sys", options: ["rbind", "nosuid", "noexec", "nodev", "ro"]))
        } else {
            mounts.append(.init(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]))
            mounts.append(
                .init(
                    destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                    options: ["nosuid", "noexec", "nodev", "relatime", "ro"]))
        }
        return mounts
    }
}
