import Linux
import OCI
import SystemPackage

/// What a container takes from the host's file systems, as detached mounts: its root, the sources of its binds, its
/// cgroup, devices.
///
/// The runtime opens it before the clone, so that the cloned process needs nothing from there any more. An ordinary user
/// may not; then the process does so itself, as soon as it has namespaces of its own.
final class HostSources {
    let root: HeldFD
    let mounts: [PlannedMount]
    /// Devices to bind where the container may not make nodes (in a user namespace), by their paths.
    let devices: [String: HeldFD]

    /// A mount with what it takes from the host.
    struct PlannedMount {
        let mount: RuntimeSpec.Mount
        let options: MountOptions
        /// Of a bind mount: the source, detached.
        let source: HeldFD?
        let sourceIsDirectory: Bool
        /// Of a cgroup mount: the group's directories by name, detached. An empty name is the whole mount.
        let cgroups: [(name: String, source: HeldFD)]
    }

    init(
        _ spec: RuntimeSpec, _ parsed: [MountOptions], _ namespaces: NamespacePlan, _ options: LaunchOptions,
        isPrivileged: Bool
    ) throws {
        root = try Self.openRoot(spec, options)
        let mappings = MappingNamespaces()
        var mounts: [PlannedMount] = []
        for (mount, parsed) in zip(spec.mounts, parsed) {
            let isDetached = mount.type == LaunchOptions.detachedMountType
            if isDetached || parsed.isBind && !parsed.isRemount {
                let users = try Self.users(mount, parsed, spec, namespaces, mappings)
                let plan = isDetached ? Self.planDetached : Self.planBind
                mounts.append(try plan(mount, parsed, users, options))
            } else {
                let cgroups = mount.type == "cgroup" || mount.type == "cgroup2" ? try Self.cgroups(options, isPrivileged) : []
                mounts.append(
                    PlannedMount(mount: mount, options: parsed, source: nil, sourceIsDirectory: true, cgroups: cgroups))
            }
        }
        self.mounts = mounts
        var devices: [String: HeldFD] = [:]
        if namespaces.separatesUsers, spec.needsDevices(mounts) {
            for device in DeviceNode.all(for: spec) where device.type != "p" {
                devices[device.path] = HeldFD(try device.openOnHost())
            }
        }
        self.devices = devices
    }

    /// Binds, mounts that are there already and new tmpfs, for a container that runs.
    static func plan(_ mounts: [RuntimeSpec.Mount], detached: [Int32]) throws -> [PlannedMount] {
        var options = LaunchOptions(id: "", stdio: .terminal)
        options.mounts = detached
        let mappings = MappingNamespaces()
        return try mounts.map { mount in
            let parsed = try MountOptions(mount, hasOwnUsers: false)
            let users = parsed.mapping == .none ? nil : try mappings.namespace(mount.uidMappings, mount.gidMappings)
            if mount.type == LaunchOptions.detachedMountType { return try planDetached(mount, parsed, users, options) }
            guard parsed.isBind || mount.type == "tmpfs", !parsed.isRemount else {
                throw LaunchError(message: "invalid mount \(mount.destination): type \(mount.type ?? "") is for the start of a container")
            }
            guard parsed.isBind else {
                return PlannedMount(mount: mount, options: parsed, source: nil, sourceIsDirectory: true, cgroups: [])
            }
            return try planBind(mount, parsed, users, options)
        }
    }

    private static func openRoot(_ spec: RuntimeSpec, _ options: LaunchOptions) throws -> HeldFD {
        if let given = options.rootMount { return HeldFD(try OwnedFD.duplicating(given)) }
        let path = options.bundle.pushing(FilePath(spec.root.path))
        let root: OwnedFD
        do {
            root = try Mount.clone(of: path, recursive: true)
        } catch {
            throw LaunchError(message: "invalid rootfs: \(path): \(error.errno.goText)")
        }
        guard try fstat(root).kind == .directory else {
            throw LaunchError(message: "invalid rootfs: \(path): not a directory")
        }
        // Whatever is mounted inside the container stays there; what the host mounts below the root later arrives.
        try Mount.setAttributes(root, propagation: .slave, recursive: true)
        return HeldFD(root)
    }

    /// Without a cgroup of its own a container of root sees none, and one of an ordinary user what that user sees.
    private static func cgroups(_ options: LaunchOptions, _ isPrivileged: Bool) throws -> [(name: String, source: HeldFD)] {
        switch options.cgroup?.view {
        case .whole(let directory): [("", HeldFD(try Mount.clone(of: directory, recursive: false)))]
        case .hierarchies(let all, _):
            try all.map { ($0.name, HeldFD(try Mount.clone(of: $0.directory, recursive: false))) }
        case nil where isPrivileged: []
        case nil: [("", HeldFD(try Mount.clone(of: "/sys/fs/cgroup", recursive: true)))]
        }
    }

    /// The tables by which the owners of a mount's files are shown, as a user namespace.
    private static func users(
        _ mount: RuntimeSpec.Mount, _ parsed: MountOptions, _ spec: RuntimeSpec, _ namespaces: NamespacePlan,
        _ mappings: MappingNamespaces
    ) throws -> HeldFD? {
        if parsed.mapping == .none { return nil }
        let isOwn = !mount.uidMappings.isEmpty
        if !isOwn, let joined = namespaces.joined(.user) { return joined }
        do {
            return try mappings.namespace(
                isOwn ? mount.uidMappings : spec.linux.uidMappings, isOwn ? mount.gidMappings : spec.linux.gidMappings)
        } catch let error as LaunchError {
            throw LaunchError(message: "error mounting \"\(mount.source ?? "")\" to rootfs at \"\(mount.destination)\": idmap: \(error)")
        }
    }

    private static func planBind(
        _ mount: RuntimeSpec.Mount, _ parsed: MountOptions, _ users: HeldFD?, _ options: LaunchOptions
    ) throws -> PlannedMount {
        let path = options.bundle.pushing(FilePath(mount.source ?? ""))
        do throws(SystemError) {
            let source = try Mount.clone(of: path, recursive: parsed.isRecursive)
            try prepare(source, parsed, users)
            let isDirectory = try fstat(source).kind == .directory
            return PlannedMount(
                mount: mount, options: parsed, source: HeldFD(source), sourceIsDirectory: isDirectory, cgroups: [])
        } catch {
            throw failure(error, mount, path.string)
        }
    }

    private static func failure(_ error: SystemError, _ mount: RuntimeSpec.Mount, _ source: String) -> LaunchError {
        let reason: String
        if error.call == "mount_setattr idmap", error.errno == .invalidArgument {
            reason = "idmap: the file system cannot show other owners"
        } else {
            reason = error.call == "open_tree" ? error.errno.goText : "\(error.call): \(error.errno.goText)"
        }
        return LaunchError(message: "error mounting \"\(source)\" to rootfs at \"\(mount.destination)\": \(reason)")
    }

    /// It comes with its attributes; what its options ask for comes to them.
    private static func planDetached(
        _ mount: RuntimeSpec.Mount, _ parsed: MountOptions, _ users: HeldFD?, _ options: LaunchOptions
    ) throws -> PlannedMount {
        guard let number = Int(mount.source ?? ""), options.mounts.indices.contains(number) else {
            throw LaunchError(message: "invalid mount \(mount.destination): there is no detached mount \(mount.source ?? "")")
        }
        let source = try OwnedFD.duplicating(options.mounts[number])
        do throws(SystemError) {
            try prepare(source, parsed, users)
        } catch {
            throw failure(error, mount, "detached mount \(number)")
        }
        let isDirectory = try fstat(source).kind == .directory
        return PlannedMount(
            mount: mount, options: parsed, source: HeldFD(source), sourceIsDirectory: isDirectory, cgroups: [])
    }

    private static func prepare(_ source: borrowing OwnedFD, _ parsed: MountOptions, _ users: HeldFD?) throws(SystemError) {
        if let users { try Mount.setIDMapping(source, userNamespace: users.fd, recursive: parsed.mapping == .recursive) }
        // Slaves first, so that nothing mounted inside reaches the host unless that was asked for by `shared`.
        if parsed.propagations.last?.kind != .shared { try Mount.setAttributes(source, propagation: .slave, recursive: true) }
        for wanted in parsed.propagations where wanted.kind != .slave {
            try Mount.setAttributes(source, propagation: wanted.kind, recursive: wanted.isRecursive)
        }
        try parsed.apply(to: source)
    }
}

extension RuntimeSpec {
    /// A /dev that is the host's own is left alone.
    func needsDevices(_ mounts: [HostSources.PlannedMount]) -> Bool {
        !mounts.contains { $0.source != nil && FilePath($0.mount.destination).lexicallyNormalized() == "/dev" }
    }
}
