import Linux
import OCI
import SystemPackage

/// What the first process of a container does between the clone and its program, in this order. docs/runtime.md says why.
struct ContainerInit {
    let plan: ContainerPlan

    private var spec: RuntimeSpec { plan.spec }
    private var namespaces: NamespacePlan { plan.namespaces }

    func run(_ channel: borrowing Channel) throws {
        // Who is hidden is out of reach for an ordinary user's id tables as well.
        if plan.isPrivileged { try Identity.hideFromOthers() }
        try Identity.startSession()
        if !namespaces.new.contains(.user) && !namespaces.needsJoiningFirst { try plan.options.cgroup?.enterFromChild() }
        if plan.waitsForParent, try channel.receive() == nil { endProcess(1) }
        let allowsGroups = try becomeRoot()
        if !plan.isPrivileged { try Identity.hideFromOthers() }
        try enterNamespaces()
        Identity.setUmask(0)
        if let hostname = spec.hostname { try Identity.setHostname(hostname) }
        if let domainname = spec.domainname { try Identity.setDomainname(domainname) }
        try plan.tuning.apply()

        let process = ProcessInit(plan: plan.process, options: plan.options, allowsGroups: allowsGroups)
        let sources =
            try plan.sources
            ?? HostSources(spec, plan.mountOptions, namespaces, plan.options, isPrivileged: false)
        let root = sources.root
        try attachRoot(root.fd)
        try MountSetup(plan: plan, sources: sources).makeAll(in: root.fd)
        if spec.needsDevices(sources.mounts) { try makeDevices(sources) }
        try runHooks(channel)
        try process.prepareStreams(root: root.fd, withConsole: true, channel: channel)
        try switchRoot(root.fd)
        try Sysctl.apply(spec.linux.sysctl, namespaces: namespaces.all)
        try HiddenPaths.makeReadOnly(spec.linux.readonlyPaths, root: root.fd)
        try HiddenPaths.mask(spec.linux.maskedPaths, root: root.fd)
        try makeRootReadOnly(root.fd)
        try spreadMounts(root.fd)
        try process.finish(root: root.fd, channel: channel) { environment in
            let hooks = HookRun(.startContainer, of: spec, environment: environment)
            if !hooks.hooks.isEmpty { try hooks.runAll(plan.state.json(.created, pid: processID())) }
        }
    }

    /// In a namespace of users. Answers whether groups can be chosen there.
    private func becomeRoot() throws -> Bool {
        guard namespaces.separatesUsers else { return true }
        let allowsGroups = try IDMappings.allowGroups("self")
        try Identity.setUser(0, group: 0, additionalGroups: allowsGroups ? [] : nil)
        return allowsGroups
    }

    /// Those that could not be made by the clone: joined ones, the cgroup namespace (its root is the group that the
    /// process is in by now), and a time namespace whose clocks are set before anybody is in it.
    private func enterNamespaces() throws {
        if !namespaces.needsJoiningFirst {
            for (kind, namespace) in namespaces.joined where kind != .pid && kind != .mount { try kind.join(namespace.fd) }
        }
        if namespaces.new.contains(.cgroup) { try Namespaces.cgroup.unshare() }
        try setClocks()
        // Last: procfs may not be there.
        if !namespaces.needsJoiningFirst, let mounts = namespaces.joined(.mount) { try Namespaces.mount.join(mounts.fd) }
    }

    private func setClocks() throws {
        guard namespaces.new.contains(.time), let offsets = spec.linux.timeOffsets else { return }
        try Namespaces.time.unshare()
        var text = ""
        for (clock, offset) in [("boottime", offsets.boottime), ("monotonic", offsets.monotonic)] {
            if let offset { text += "\(clock) \(offset.seconds) \(offset.nanoseconds)\n" }
        }
        do throws(SystemError) {
            try OwnedFD.open("/proc/self/timens_offsets", .writeOnly).writeAll(Array(text.utf8))
        } catch {
            throw LaunchError(message: "unable to set timeOffsets: \(error.errno.goText)")
        }
    }

    /// Cuts the tie to the host's mounts and puts the root on top of the present one: no directory of the host is used.
    /// Only for hooks, which know the root by its path, it lies there.
    private func attachRoot(_ root: borrowing OwnedFD) throws {
        let present = try OwnedFD.open("/", [.path, .directory])
        try Mount.setAttributes(present, propagation: .isPrivate, recursive: true)
        guard plan.hasHooksInMounts, plan.options.rootMount == nil else { return try Mount.attach(root, to: present) }
        let path = plan.options.bundle.pushing(FilePath(spec.root.path))
        let place = try OwnedFD.open(path, [.path, .directory])
        let (wanted, found) = (try fstat(root), try fstat(place))
        guard wanted.inode == found.inode, wanted.device == found.device else {
            throw LaunchError(message: "\(path) was exchanged during the start")
        }
        try Mount.attach(root, to: place)
    }

    private func makeDevices(_ sources: HostSources) throws {
        for device in DeviceNode.all(for: spec) {
            try device.make(in: sources.root.fd, bound: sources.devices[device.path])
        }
        try DeviceLinks.make(in: sources.root.fd)
    }

    /// First those of the runtime, then those that look at the container's mounts from inside.
    private func runHooks(_ channel: borrowing Channel) throws {
        if plan.hasRuntimeHooks {
            try channel.send(LaunchMessage.mounted.bytes)
            if try channel.receive() == nil { endProcess(1) }
        }
        let hooks = HookRun(.createContainer, of: spec)
        if !hooks.hooks.isEmpty { try hooks.runAll(plan.state.json(.creating, pid: processID())) }
    }

    private func switchRoot(_ root: borrowing OwnedFD) throws {
        if plan.options.keepsOldRoot {
            // The container's root lies on top of the old one already.
            try Identity.changeDirectory(root)
            return try Identity.changeRootToWorkingDirectory()
        }
        let old = try OwnedFD.open("/", [.path, .directory])
        try Identity.pivotRoot(to: root)
        try Identity.changeDirectory(old)
        try Mount.detach(".")
        try Identity.changeDirectory(root)
    }

    private func makeRootReadOnly(_ root: borrowing OwnedFD) throws {
        guard spec.root.readonly else { return }
        try Mount.setAttributes(root, set: .readOnly)
        guard try isReadOnly(root) else { throw LaunchError(message: "root.readonly: the root can still be written") }
    }

    /// A root is a slave of the host's mounts unless it is to be something else.
    private func spreadMounts(_ root: borrowing OwnedFD) throws {
        guard let wanted = spec.linux.rootfsPropagation, let propagation = MountPropagation(option: wanted),
            propagation != .slave
        else { return }
        try Mount.setAttributes(root, propagation: propagation, recursive: wanted.hasPrefix("r"))
    }
}
