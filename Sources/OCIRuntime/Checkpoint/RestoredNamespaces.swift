import Linux
import SystemPackage

/// What names a namespace.
struct NamespaceIdentity: Equatable {
    let device: UInt64
    let inode: UInt64
}

/// The namespaces that a restored container may be in. CRIU makes those anew that the images say were not its own, so that
/// images can leave a process in those of the host.
struct RestoredNamespaces {
    typealias Found = (kind: Namespaces, identity: NamespaceIdentity)

    /// Of the configuration: made anew.
    let new: Namespaces
    /// Of the configuration: joined by their paths.
    let joined: [Found]
    /// Those of the runtime and of CRIU, which none that is new can be.
    let outside: [Found]

    /// What is wrong with the namespace of one kind of a thread; nil where nothing is. The container may have made others
    /// for processes behind the first one. A thread that has ended has none.
    func obstacle(_ kind: Namespaces, _ found: NamespaceIdentity?, isFirst: Bool) -> String? {
        let wanted = joined.first { $0.kind == kind }?.identity
        guard wanted != nil || new.contains(kind) else { return nil }
        guard let found else { return isFirst ? "has no namespace of that kind" : nil }
        if let wanted {
            if found == wanted { return nil }
            if isFirst { return "is not in the one of the path" }
        }
        return outside.contains { $0.kind == kind && $0.identity == found } ? "is in that of the host" : nil
    }

    /// Those of a process or thread, by its directory in procfs.
    static func all(of directory: String) throws(SystemError) -> [Found] {
        var all: [Found] = []
        for (name, kind) in Namespaces.names {
            if let found = try identity(directory, name) { all.append((kind: kind, identity: found)) }
        }
        return all
    }

    /// nil where the process has ended, or the kernel has no such namespaces.
    static func identity(_ directory: String, _ name: String) throws(SystemError) -> NamespaceIdentity? {
        do throws(SystemError) {
            return try identity(of: try OwnedFD.open(FilePath("\(directory)/ns/\(name)"), .path))
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    static func identity(of namespace: borrowing OwnedFD) throws(SystemError) -> NamespaceIdentity {
        let status = try fstat(namespace)
        return NamespaceIdentity(device: status.device, inode: status.inode)
    }
}
