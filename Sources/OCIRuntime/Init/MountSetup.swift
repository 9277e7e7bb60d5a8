import Linux
import OCI
import SystemPackage

/// Makes the mounts of the configuration, in order, inside the root.
struct MountSetup {
    private let mounts: [HostSources.PlannedMount]
    /// Of the files that the container's file systems show.
    private let label: String?
    /// The container's own.
    private let cgroup: Cgroup?

    init(plan: ContainerPlan, sources: HostSources) {
        mounts = sources.mounts
        label = plan.spec.linux.mountLabel.flatMap { $0.isEmpty ? nil : $0 }
        cgroup = plan.options.cgroup
    }

    /// For mounts that come to a container that runs.
    init() {
        (mounts, label, cgroup) = ([], nil, nil)
    }

    func makeAll(in root: borrowing OwnedFD) throws {
        for planned in mounts {
            do {
                try make(planned, root: root)
            } catch let error as SystemError {
                throw Self.failure(planned, error)
            }
        }
    }

    static func failure(_ planned: HostSources.PlannedMount, _ error: SystemError) -> LaunchError {
        let source = planned.mount.source ?? planned.mount.type ?? ""
        return LaunchError(message: "error mounting \"\(source)\" to rootfs at \"\(planned.mount.destination)\": \(error)")
    }

    private func make(_ planned: HostSources.PlannedMount, root: borrowing OwnedFD) throws {
        let destination = planned.mount.destination
        if planned.options.isRemount { return try remount(planned, root: root) }
        if let source = planned.source {
            try Self.checkInsideProc(destination, source: source)
            let target =
                planned.sourceIsDirectory
                ? try MountTarget.directory(destination, root: root) : try MountTarget.file(destination, root: root)
            try attach(planned, to: target)
            return
        }
        switch planned.mount.type {
        case "cgroup", "cgroup2": try makeCgroup(planned, root: root)
        case "proc", "sysfs":
            let target = try MountTarget.ordinaryDirectory(destination, root: root)
            try attachNew(planned, data: planned.options.data, to: target)
        case "tmpfs":
            try Self.checkInsideProc(destination)
            try attach(planned, to: try MountTarget.directory(destination, root: root))
        default:
            try Self.checkInsideProc(destination)
            try attachNew(planned, data: planned.options.data, to: try MountTarget.directory(destination, root: root))
        }
    }

    /// Puts a bind, a mount that is there already, or a new tmpfs onto a place. The root of what lies there then.
    @discardableResult
    func attach(_ planned: HostSources.PlannedMount, to target: borrowing OwnedFD) throws -> HeldFD {
        if let source = planned.source {
            try Mount.attach(source.fd, to: target)
            return source
        }
        var data = planned.options.data
        if !data.contains(where: { $0.hasPrefix("mode=") }) {
            data.append("mode=\(String(try fstat(target).permissions, radix: 8))")
        }
        return HeldFD(try attachNew(planned, data: data, to: target))
    }

    @discardableResult
    private func attachNew(_ planned: HostSources.PlannedMount, data: [String], to target: borrowing OwnedFD) throws -> OwnedFD {
        let (mount, options) = (planned.mount, planned.options)
        let type = mount.type ?? "none"
        // Some file systems do not know options of theirs that only the old way of mounting needs.
        var data = type == "devpts" ? data.filter { $0 != "newinstance" } : data
        data += options.switches
        let attributes = options.set.union(options.recursiveSet)
        // A file system on a device has to know that nothing may be written there.
        if attributes.contains(.readOnly), !Self.isVirtual(type) { data.append("ro") }
        if let label = label(for: type) { data.append("context=\(label)") }
        // What is copied in has to be written before the mount is closed to that.
        let isCopied = options.copiesUp
        let made = try Mount.filesystem(
            type: type, source: mount.source, options: data, attributes: isCopied ? attributes.subtracting(.readOnly) : attributes)
        if isCopied {
            try CopyUp.run(from: target, to: made)
            if attributes.contains(.readOnly) { try Mount.setAttributes(made, set: .readOnly) }
        }
        for wanted in options.propagations { try Mount.setAttributes(made, propagation: wanted.kind) }
        try Mount.attach(made, to: target)
        if type == "mqueue", let label {
            try fsetxattr(try reopenDirectory(made), attribute: "security.selinux", value: Array(label.utf8) + [0])
        }
        return made
    }

    private static func isVirtual(_ type: String) -> Bool {
        switch type {
        case "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2": true
        default: false
        }
    }

    /// File systems of the kernel have labels of their own.
    private func label(for type: String) -> String? {
        ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"].contains(type) ? nil : label
    }

    /// `remount` with `bind` changes the mount at the destination, without it the whole file system.
    private func remount(_ planned: HostSources.PlannedMount, root: borrowing OwnedFD) throws {
        let options = planned.options
        let place = try PathInRoot.open(planned.mount.destination, root: root, flags: .path)
        if !options.isBind {
            var data = options.data + options.switches
            if options.set.contains(.readOnly) { data.append("ro") }
            if options.clear.contains(.readOnly) { data.append("rw") }
            try Mount.reconfigure(place, options: data)
        }
        try options.apply(to: place)
        for wanted in options.propagations {
            try Mount.setAttributes(place, propagation: wanted.kind, recursive: wanted.isRecursive)
        }
    }

    /// Version 2: the group itself. Version 1: a small file system with the group's directory of each hierarchy.
    private func makeCgroup(_ planned: HostSources.PlannedMount, root: borrowing OwnedFD) throws {
        let attributes = planned.options.set
        let target = try MountTarget.directory(planned.mount.destination, root: root)
        if let whole = planned.cgroups.first, whole.name.isEmpty {
            // Groups that are not the container's are there to be looked at.
            let isForeign = cgroup == nil
            try Mount.setAttributes(
                whole.source.fd, set: isForeign ? attributes.union(.readOnly) : attributes,
                propagation: isForeign ? .slave : .isPrivate, recursive: isForeign)
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
        if case .hierarchies(_, let links)? = cgroup?.view {
            for (name, target) in links { try symlinkat(Array(target.utf8), top, try FileName(name)) }
        }
        if attributes.contains(.readOnly) { try Mount.setAttributes(top, set: .readOnly) }
    }

    /// Nothing may cover files of procfs except those that tell of resources (lxcfs does so) and two harmless switches.
    /// Over procfs as a whole there may be a procfs.
    static func checkInsideProc(_ destination: String, source: HeldFD? = nil) throws {
        let path = FilePath(destination).lexicallyNormalized().string
        guard path == "/proc" || path.hasPrefix("/proc/"), !coverable.contains(path) else { return }
        if path == "/proc", let source, try FileSystemKind(of: source.fd) == .proc, try fstat(source.fd).inode == 1 { return }
        throw LaunchError(message: "\"\(destination)\" cannot be mounted because it is inside /proc")
    }

    private static let coverable: Set<String> = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
        "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
    ]
}
