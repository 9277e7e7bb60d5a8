import Linux
import OCI
import SystemPackage

/// What the first process of a container does between the clone and its program, in this order.
struct ContainerInit {
    let plan: ContainerPlan

    private var spec: RuntimeSpec { plan.spec }

    func run(_ channel: borrowing Channel) throws {
        try Identity.hideFromOthers()
        try Identity.startSession()
        if !plan.newNamespaces.contains(.user) { try plan.options.cgroup?.enterFromChild() }
        if plan.waitsForParent, try channel.receive() == nil { endProcess(1) }
        if plan.newNamespaces.contains(.user) { try Identity.setUser(0, group: 0, additionalGroups: []) }
        try enterNamespaces()
        Identity.setUmask(0)
        if let hostname = spec.hostname { try Identity.setHostname(hostname) }
        if let domainname = spec.domainname { try Identity.setDomainname(domainname) }

        let process = ProcessInit(plan: plan.process, options: plan.options)
        try attachRoot()
        try MountSetup(plan: plan).makeAll(in: plan.root.fd)
        try makeDevices()
        try process.prepareStreams(root: plan.root.fd, withConsole: true, channel: channel)
        try switchRoot()
        try Sysctl.apply(spec.linux.sysctl, namespaces: plan.allNamespaces)
        try HiddenPaths.makeReadOnly(spec.linux.readonlyPaths, root: plan.root.fd)
        try HiddenPaths.mask(spec.linux.maskedPaths, root: plan.root.fd)
        if spec.root.readonly { try Mount.setAttributes(plan.root.fd, set: .readOnly) }
        try spreadMounts()
        try process.finish(root: plan.root.fd, channel: channel)
    }

    /// Those that could not be made by the clone: joined ones, the cgroup namespace (its root is the group that the
    /// process is in by now), and a time namespace whose clocks are set before anybody is in it.
    private func enterNamespaces() throws {
        for (kind, namespace) in plan.joinedNamespaces where kind != .pid { try kind.join(namespace.fd) }
        if plan.newNamespaces.contains(.cgroup) { try Namespaces.cgroup.unshare() }
        guard plan.newNamespaces.contains(.time), let offsets = spec.linux.timeOffsets else { return }
        try Namespaces.time.unshare()
        var text = ""
        for (clock, offset) in [("boottime", offsets.boottime), ("monotonic", offsets.monotonic)] {
            if let offset { text += "\(clock) \(offset.seconds) \(offset.nanoseconds)\n" }
        }
        let file = try OwnedFD.open("/proc/self/timens_offsets", .writeOnly)
        try file.writeAll(Array(text.utf8))
    }

    /// Cuts the tie to the host's mounts and puts the root on top of the present one: no directory of the host is used.
    private func attachRoot() throws {
        let present = try OwnedFD.open("/", [.path, .directory])
        try Mount.setAttributes(present, propagation: .isPrivate, recursive: true)
        try Mount.attach(plan.root.fd, to: present)
    }

    private func makeDevices() throws {
        // A /dev that is the host's own is left alone.
        if plan.mounts.contains(where: { $0.source != nil && FilePath($0.mount.destination).lexicallyNormalized() == "/dev" }) {
            return
        }
        for device in DeviceNode.all(for: spec) {
            try device.make(in: plan.root.fd, bound: plan.boundDevices[device.path])
        }
        try DeviceLinks.make(in: plan.root.fd)
    }

    private func switchRoot() throws {
        let old = try OwnedFD.open("/", [.path, .directory])
        try Identity.pivotRoot(to: plan.root.fd)
        try Identity.changeDirectory(old)
        try Mount.detach(".")
        try Identity.changeDirectory(plan.root.fd)
    }

    private func spreadMounts() throws {
        guard let wanted = spec.linux.rootfsPropagation, !wanted.isEmpty else { return }
        let isRecursive = wanted.hasPrefix("r")
        guard let propagation = MountPropagation(name: isRecursive ? String(wanted.dropFirst()) : wanted) else {
            throw LaunchError(message: "rootfsPropagation=\(wanted) is not supported")
        }
        if propagation == .slave || propagation == .isPrivate { return }
        try Mount.setAttributes(plan.root.fd, propagation: propagation, recursive: isRecursive)
    }
}

extension ContainerPlan {
    /// The process may not begin before the parent has written its id mappings or run the hooks.
    var waitsForParent: Bool { newNamespaces.contains(.user) || options.afterClone != nil }

    var allNamespaces: Namespaces {
        joinedNamespaces.reduce(newNamespaces) { $0.union($1.kind) }
    }
}
