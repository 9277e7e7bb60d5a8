import Linux
import OCI
import SystemPackage

/// Namespaces that a container has joined by their paths. Those of the network and of pids are left out of the images and have
/// to exist at the restore; those of IPC and of names are joined again.
struct ExternalNamespaces {
    let spec: RuntimeSpec

    private var joined: [(kind: RuntimeSpec.Namespace.Kind, path: String)] {
        spec.linux.namespaces.compactMap { one in one.path.map { (one.type, $0) } }
    }

    /// What CRIU cannot do, or only says it can. In a user namespace it does not get at images that only root may read.
    func check() throws {
        if spec.linux.namespaces.contains(where: { $0.type == .user }) {
            throw RuntimeError("a container with a user namespace cannot be checkpointed or restored")
        }
        for (kind, path) in joined where [.mount, .cgroup, .time].contains(kind) {
            throw RuntimeError("a container that has joined the \(kind.rawValue) namespace \(path) cannot be checkpointed or restored")
        }
    }

    private static func key(_ kind: RuntimeSpec.Namespace.Kind) -> (name: String, key: String)? {
        switch kind {
        case .network: ("net", "extRootNetNS")
        case .pid: ("pid", "extRootPidNS")
        default: nil
        }
    }

    /// Of a dump of the process `pid`.
    func putPlaces(_ pid: Int32, _ options: inout ProtobufMessage) throws {
        for (kind, _) in joined {
            guard let (name, key) = Self.key(kind) else { continue }
            let inode = try fstat(try OwnedFD.open(FilePath("/proc/\(pid)/ns/\(name)"), .path)).inode
            options.put(37, "\(name)[\(inode)]:\(key)")
        }
    }

    /// Of a restore: answers the open namespaces, the first of which becomes CRIU's descriptor `first`.
    func putInherited(first: Int, _ plan: NamespacePlan, _ options: inout ProtobufMessage) -> [HeldFD] {
        var opened: [HeldFD] = []
        for (kind, path) in joined {
            if let (_, key) = Self.key(kind) {
                guard let namespace = plan.joined(Namespaces(kind)) else { continue }
                options.putInherited(key, first + opened.count)
                opened.append(namespace)
            } else {
                var join = ProtobufMessage()
                join.put(1, kind.rawValue)
                join.put(2, path)
                options.put(39, join)
            }
        }
        return opened
    }
}
