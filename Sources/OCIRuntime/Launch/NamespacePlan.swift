import Linux
import OCI
import SystemPackage

/// Which namespaces a container gets: made with its first process, or joined by their paths.
struct NamespacePlan {
    /// Made anew.
    private(set) var new: Namespaces = []
    /// Open, in the order of the configuration.
    private(set) var joined: [(kind: Namespaces, namespace: HeldFD)] = []

    init(_ spec: RuntimeSpec) throws {
        var seen: Namespaces = []
        for namespace in spec.linux.namespaces {
            let kind = Namespaces(namespace.type)
            guard !seen.contains(kind) else {
                throw LaunchError(message: "malformed spec file: duplicated ns \(namespace.type.rawValue)")
            }
            seen.insert(kind)
            if let path = namespace.path {
                guard path.hasPrefix("/") else {
                    throw LaunchError(message: "\(namespace.type.rawValue) namespace path \"\(path)\" is not absolute")
                }
                try join(path, kind, namespace.type)
            } else {
                new.insert(kind)
            }
        }
        guard seen.contains(.mount) else {
            throw LaunchError(message: "a container without a mount namespace of its own is not supported")
        }
    }

    private mutating func join(_ path: String, _ kind: Namespaces, _ type: RuntimeSpec.Namespace.Kind) throws {
        let namespace: OwnedFD
        do {
            namespace = try OwnedFD.open(FilePath(path), .readOnly)
        } catch {
            throw LaunchError(message: "\(type.rawValue) namespace path \"\(path)\": \(error.errno.goText)")
        }
        guard try FileSystemKind(of: namespace) == .namespaces else {
            throw LaunchError(message: "\(type.rawValue) namespace path \"\(path)\" is not a namespace")
        }
        // The root changes for every process in it, and the mounts stay: whoever keeps such a namespace wants that, the
        // runtime's own, which is the host's, does not.
        if kind == .mount, try Self.isOwn(namespace, kind) {
            throw LaunchError(message: "mount namespace path \"\(path)\" is the runtime's own")
        }
        // One is in it already; the kernel refuses to join the present user namespace.
        if kind == .user, try Self.isOwn(namespace, kind) { return }
        joined.append((kind, HeldFD(namespace)))
    }

    private static func isOwn(_ namespace: borrowing OwnedFD, _ kind: Namespaces) throws(SystemError) -> Bool {
        guard let name = Namespaces.names.first(where: { $0.kind == kind })?.name else { return false }
        let own = try fstat(try OwnedFD.open(FilePath("/proc/self/ns/\(name)"), .path))
        let other = try fstat(namespace)
        return own.inode == other.inode && own.device == other.device
    }

    var joinedKinds: Namespaces { joined.reduce([]) { $0.union($1.kind) } }

    /// New and joined ones.
    var all: Namespaces { new.union(joinedKinds) }

    /// The container has other users than the runtime.
    var separatesUsers: Bool { all.contains(.user) }

    /// A namespace of users owns those that are made in it. One that exists is therefore entered before the others are
    /// made; and before a new one is made the others are entered, which it may not be allowed to.
    var needsJoiningFirst: Bool {
        joinedKinds.contains(.user) || (new.contains(.user) && !joined.isEmpty)
    }

    func joined(_ kind: Namespaces) -> HeldFD? { joined.first { $0.kind == kind }?.namespace }

    /// Enters them all. Those that the caller has no right to are entered after the user namespace, which may give it.
    func joinAll() throws(SystemError) {
        var later: [(kind: Namespaces, namespace: HeldFD)] = []
        for one in joined where one.kind != .user {
            do { try one.kind.join(one.namespace.fd) } catch  where error.errno == .notPermitted { later.append(one) }
        }
        if let users = joined(.user) { try Namespaces.user.join(users.fd) }
        for one in later { try one.kind.join(one.namespace.fd) }
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

/// Which namespaces of another process are not the caller's.
enum NamespaceComparison {
    static func differing(from pid: Int32) throws(SystemError) -> Namespaces {
        var differing: Namespaces = []
        for (name, kind) in Namespaces.names {
            let own = try identity("/proc/self/ns/\(name)")
            if try own != identity("/proc/\(pid)/ns/\(name)") { differing.insert(kind) }
        }
        return differing
    }

    private static func identity(_ path: String) throws(SystemError) -> UInt64 {
        try fstat(try OwnedFD.open(FilePath(path), .path)).inode
    }
}
