import Linux
import OCI
public import SystemPackage

/// A descriptor with an owner that may lie in arrays.
final class HeldFD: Sendable {
    let fd: OwnedFD

    init(_ fd: consuming OwnedFD) {
        self.fd = fd
    }
}

/// Everything of a container that is read, checked and opened on the host, so that the cloned process needs nothing
/// from there any more.
final class ContainerPlan {
    let spec: RuntimeSpec
    let options: LaunchOptions
    let process: ProcessPlan
    let root: HeldFD
    let mounts: [PlannedMount]
    let newNamespaces: Namespaces
    let joinedNamespaces: [(kind: Namespaces, namespace: HeldFD)]
    /// Host devices to bind where the container may not make nodes (in a user namespace), by their paths.
    let boundDevices: [String: HeldFD]

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

    init(_ spec: RuntimeSpec, _ options: LaunchOptions) throws {
        try Self.check(spec)
        self.spec = spec
        self.options = options
        let hasInit = spec.mounts.contains { $0.destination == ReapingInit.path }
        process = try ProcessPlan(
            spec.process, seccomp: spec.linux.seccomp, initPath: hasInit ? ReapingInit.path : nil)
        root = try Self.openRoot(spec, options)
        mounts = try spec.mounts.map { try Self.plan($0, options) }
        var new: Namespaces = []
        var joined: [(kind: Namespaces, namespace: HeldFD)] = []
        for namespace in spec.linux.namespaces {
            let kind = Namespaces(namespace.type)
            guard !new.contains(kind), !joined.contains(where: { $0.kind == kind }) else {
                throw LaunchError(message: "malformed spec file: duplicated ns \(namespace.type.rawValue)")
            }
            if let path = namespace.path {
                joined.append((kind, HeldFD(try OwnedFD.open(FilePath(path), .readOnly))))
            } else {
                new.insert(kind)
            }
        }
        newNamespaces = new
        joinedNamespaces = joined
        guard new.contains(.mount) else { throw LaunchError(message: "a container without a mount namespace of its own is not supported") }
        var devices: [String: HeldFD] = [:]
        if new.contains(.user) {
            for device in DeviceNode.all(for: spec) {
                devices[device.path] = HeldFD(try Mount.clone(of: FilePath(device.path), recursive: false))
            }
        }
        boundDevices = devices
    }

    private static func check(_ spec: RuntimeSpec) throws(LaunchError) {
        func refuse(_ message: String) throws(LaunchError) { throw LaunchError(message: message) }
        let linux = spec.linux
        if let hooks = spec.hooks, !hooks.createContainer.isEmpty || !hooks.startContainer.isEmpty {
            try refuse("hooks inside the container are not supported")
        }
        if linux.namespaces.contains(where: { $0.type == .user && $0.path != nil }) {
            try refuse("joining a user namespace by its path is not supported")
        }
        let hasUser = linux.namespaces.contains { $0.type == .user }
        if hasUser, linux.uidMappings.isEmpty || linux.gidMappings.isEmpty {
            try refuse("a user namespace needs uidMappings and gidMappings")
        }
        if !(linux.mountLabel ?? "").isEmpty { try refuse("mountLabel is not supported") }
        if spec.hostname != nil, !linux.namespaces.contains(where: { $0.type == .uts }) {
            try refuse("unable to set hostname without a private UTS namespace")
        }
        if spec.domainname != nil, !linux.namespaces.contains(where: { $0.type == .uts }) {
            try refuse("unable to set domainname without a private UTS namespace")
        }
    }

    private static func openRoot(_ spec: RuntimeSpec, _ options: LaunchOptions) throws -> HeldFD {
        if let given = options.rootMount { return HeldFD(try OwnedFD.duplicating(given)) }
        let path = options.bundle.pushing(FilePath(spec.root.path))
        let root = try Mount.clone(of: path, recursive: true)
        // Whatever is mounted inside the container stays there; what the host mounts below the root later arrives.
        try Mount.setAttributes(root, propagation: .slave, recursive: true)
        return HeldFD(root)
    }

    private static func plan(_ mount: RuntimeSpec.Mount, _ options: LaunchOptions) throws -> PlannedMount {
        let parsed = try MountOptions(mount.options, type: mount.type)
        if parsed.isBind { return try planBind(mount, parsed, options) }
        var cgroups: [(name: String, source: HeldFD)] = []
        if mount.type == "cgroup" || mount.type == "cgroup2" {
            switch options.cgroup?.view {
            case .whole(let directory): cgroups = [("", HeldFD(try Mount.clone(of: directory, recursive: false)))]
            case .hierarchies(let all, _):
                cgroups = try all.map { ($0.name, HeldFD(try Mount.clone(of: $0.directory, recursive: false))) }
            case nil: break
            }
        }
        return PlannedMount(mount: mount, options: parsed, source: nil, sourceIsDirectory: true, cgroups: cgroups)
    }

    private static func planBind(_ mount: RuntimeSpec.Mount, _ parsed: MountOptions, _ options: LaunchOptions) throws
        -> PlannedMount
    {
        let path = options.bundle.pushing(FilePath(mount.source ?? ""))
        let source: OwnedFD
        do {
            source = try Mount.clone(of: path, recursive: parsed.isRecursive)
        } catch {
            throw LaunchError(
                message: "error mounting \"\(path)\" to rootfs at \"\(mount.destination)\": \(error.errno.goText)")
        }
        // Slaves first, so that nothing mounted inside reaches the host unless that was asked for by `shared`.
        if parsed.propagation != .shared { try Mount.setAttributes(source, propagation: .slave, recursive: true) }
        if let propagation = parsed.propagation, propagation != .slave {
            try Mount.setAttributes(source, propagation: propagation, recursive: parsed.propagationIsRecursive)
        }
        if parsed.set != [] || parsed.clear != [] {
            try Mount.setAttributes(source, set: parsed.set, clear: parsed.clear)
        }
        if parsed.recursiveSet != [] || parsed.recursiveClear != [] {
            try Mount.setAttributes(source, set: parsed.recursiveSet, clear: parsed.recursiveClear, recursive: true)
        }
        let isDirectory = try fstat(source).kind == .directory
        return PlannedMount(
            mount: mount, options: parsed, source: HeldFD(source), sourceIsDirectory: isDirectory, cgroups: [])
    }
}

extension Namespaces {
    init(_ kind: RuntimeSpec.Namespace.Kind) {
        switch kind {
        case .pid: self = .pid
        case .network: self = .network
        case .mount: self = .mount
        case .ipc: self = .ipc
        case .uts: self = .uts
        case .user: self = .user
        case .cgroup: self = .cgroup
        case .time: self = .time
        }
    }
}

extension Errno {
    /// The way Go's programs write it, for clients that compare texts.
    public var goText: String {
        let text = description
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}
