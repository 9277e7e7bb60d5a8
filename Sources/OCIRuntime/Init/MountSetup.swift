import Linux
import OCI
import SystemPackage

/// Makes the mounts of the configuration, in order, inside the root.
struct MountSetup {
    let plan: ContainerPlan

    func makeAll(in root: borrowing OwnedFD) throws {
        for planned in plan.mounts {
            do {
                try make(planned, root: root)
            } catch let error as SystemError {
                let source = planned.mount.source ?? planned.mount.type ?? ""
                throw LaunchError(
                    message: "error mounting \"\(source)\" to rootfs at \"\(planned.mount.destination)\": \(error)")
            }
        }
    }

    private func make(_ planned: ContainerPlan.PlannedMount, root: borrowing OwnedFD) throws {
        let destination = planned.mount.destination
        if let source = planned.source {
            try Self.checkInsideProc(destination)
            let target =
                planned.sourceIsDirectory
                ? try MountTarget.directory(destination, root: root) : try MountTarget.file(destination, root: root)
            return try Mount.attach(source.fd, to: target)
        }
        switch planned.mount.type {
        case "cgroup", "cgroup2": try makeCgroup(planned, root: root)
        case "proc", "sysfs":
            let target = try MountTarget.ordinaryDirectory(destination, root: root)
            try attachNew(planned, data: planned.options.data, to: target)
        case "tmpfs":
            try Self.checkInsideProc(destination)
            let target = try MountTarget.directory(destination, root: root)
            var data = planned.options.data
            if !data.contains(where: { $0.hasPrefix("mode=") }) {
                data.append("mode=\(String(try fstat(target).permissions, radix: 8))")
            }
            try attachNew(planned, data: data, to: target)
        default:
            try Self.checkInsideProc(destination)
            try attachNew(planned, data: planned.options.data, to: try MountTarget.directory(destination, root: root))
        }
    }

    private func attachNew(_ planned: ContainerPlan.PlannedMount, data: [String], to target: borrowing OwnedFD) throws {
        let mount = planned.mount
        // Some file systems do not know options of theirs that only the old way of mounting needs.
        let data = mount.type == "devpts" ? data.filter { $0 != "newinstance" } : data
        let made = try Mount.filesystem(
            type: mount.type ?? "none", source: mount.source, options: data,
            attributes: planned.options.set.union(planned.options.recursiveSet))
        if let propagation = planned.options.propagation {
            try Mount.setAttributes(made, propagation: propagation)
        }
        try Mount.attach(made, to: target)
    }

    /// Version 2: the group itself. Version 1: a small file system with the group's directory of each hierarchy.
    private func makeCgroup(_ planned: ContainerPlan.PlannedMount, root: borrowing OwnedFD) throws {
        let attributes = planned.options.set
        let target = try MountTarget.directory(planned.mount.destination, root: root)
        if let whole = planned.cgroups.first, whole.name.isEmpty {
            try Mount.setAttributes(whole.source.fd, set: attributes, propagation: .isPrivate)
            return try Mount.attach(whole.source.fd, to: target)
        }
        let top = try Mount.filesystem(
            type: "tmpfs", options: ["mode=755"], attributes: attributes.subtracting(.readOnly))
        try Mount.attach(top, to: target)
        for (name, source) in planned.cgroups {
            let name = try FileName(name)
            try mkdirat(top, name, mode: 0o755)
            try Mount.setAttributes(source.fd, set: attributes, propagation: .isPrivate)
            try Mount.attach(source.fd, to: try openat(top, name, [.path, .directory]))
        }
        if case .hierarchies(_, let links)? = plan.options.cgroup?.view {
            for (name, target) in links { try symlinkat(Array(target.utf8), top, try FileName(name)) }
        }
        if attributes.contains(.readOnly) { try Mount.setAttributes(top, set: .readOnly) }
    }

    /// Nothing may cover files of procfs except those that tell of resources (lxcfs does so) and two harmless switches.
    private static func checkInsideProc(_ destination: String) throws(LaunchError) {
        let path = FilePath(destination).lexicallyNormalized().string
        guard path == "/proc" || path.hasPrefix("/proc/"), !coverable.contains(path) else { return }
        throw LaunchError(message: "\"\(destination)\" cannot be mounted because it is inside /proc")
    }

    private static let coverable: Set<String> = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
        "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
    ]
}
