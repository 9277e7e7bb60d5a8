import DockerAPI
import Linux
import OCI
import SystemPackage

/// The mounts of a container: Docker's own, the engine's files, then what the user asked for.
struct ContainerMounts {
    var record: ContainerRecord
    let paths: ContainerPaths
    let privileged: Bool
    let runtime: FilePath
    /// Ready as they are; they take the place of standard ones as the user's own do.
    var others: [RuntimeSpec.Mount] = []
    /// The container may write to its own cgroups.
    var writableCgroups = false
    /// Mounts that were made already: their places in the supervisor's list, by destination.
    var made: [String: MadeMounts.Place] = [:]
    /// Whom the container's command runs as.
    var user = OwnerMapping.Pair(user: 0, group: 0)

    func make() throws -> [RuntimeSpec.Mount] {
        let user = try record.mounts.map(userMount) + others
        let taken = Set(user.map(\.destination))
        let standard = (kernelMounts() + engineFiles()).filter { !taken.contains($0.destination) }
        return (standard + user).sorted { Self.depth($0.destination) < Self.depth($1.destination) }
    }

    private static func depth(_ path: String) -> Int { path.utf8.count { $0 == UInt8(ascii: "/") } }

    private func kernelMounts() -> [RuntimeSpec.Mount] {
        let host = record.hostConfig
        let access = privileged ? "rw" : "ro"
        var mounts = [
            RuntimeSpec.Mount(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            RuntimeSpec.Mount(
                destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            RuntimeSpec.Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            RuntimeSpec.Mount(destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", access]),
            RuntimeSpec.Mount(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: [writableCgroups ? "rw" : access, "nosuid", "noexec", "nodev"]),
        ]
        if host.IpcMode == "host" {
            for place in ["/dev/mqueue", "/dev/shm"] where Self.exists(place) {
                mounts.append(RuntimeSpec.Mount(destination: place, type: "bind", source: place, options: ["rbind", "nosuid", "noexec", "nodev"]))
            }
        } else {
            mounts.append(
                RuntimeSpec.Mount(
                    destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]))
            if host.IpcMode != "none" {
                mounts.append(
                    RuntimeSpec.Mount(
                        destination: "/dev/shm", type: "tmpfs", source: "shm",
                        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=\(host.ShmSize ?? 64 << 20)"]))
            }
        }
        return mounts
    }

    private static func exists(_ path: String) -> Bool {
        (try? OwnedFD.open(FilePath(path), [.path, .directory])) != nil  // A host may do without either.
    }

    private func engineFiles() -> [RuntimeSpec.Mount] {
        var mounts = [("/etc/resolv.conf", paths.resolvConf), ("/etc/hostname", paths.hostname), ("/etc/hosts", paths.hosts)]
            .map { RuntimeSpec.Mount(destination: $0, type: "bind", source: $1.string, options: ["rbind", "rprivate"]) }
        if record.hostConfig.Init == true {
            mounts.append(
                RuntimeSpec.Mount(
                    destination: "/sbin/docker-init", type: "bind", source: runtime.string,
                    options: ["bind", "ro", "nosuid", "nodev", "rprivate"]))
        }
        return mounts
    }

    func userMount(_ mount: ResolvedMount) throws -> RuntimeSpec.Mount {
        switch mount.kind {
        case .tmpfs:
            let standard = ["noexec", "nosuid", "nodev"].filter { !mount.options.contains(String($0.dropFirst(2))) }
            let access = mount.readOnly ? ["ro"] : []
            return RuntimeSpec.Mount(
                destination: mount.destination, type: "tmpfs", source: "tmpfs",
                options: standard + mount.options.filter { $0 != "exec" && $0 != "suid" && $0 != "dev" } + access)
        case .engineSocket:
            return RuntimeSpec.Mount(
                destination: mount.destination, type: "bind", source: paths.apiSocket.string,
                options: ["bind", "rprivate", "nosuid", "nodev", "noexec"] + (mount.readOnly ? ["ro"] : []))
        case .bind, .volume, .image:
            let made = made[mount.destination]
            var planned = RuntimeSpec.Mount(
                destination: mount.destination, type: made == nil ? "bind" : "skiff-detached",
                source: made.map { String($0.number) } ?? mount.source, options: mount.bindOptions)
            if let text = mount.ownerMapping {
                let mapping = try OwnerMapping(text)
                let owner = try made?.owner ?? .init(of: fstat(OwnedFD.open(FilePath(mount.source), .path)))
                // Whoever can exchange a part of the path would choose whose files those of the user are.
                let isPart = mount.kind == .bind || mount.subpath != nil
                if mapping == .ownerIsUser, isPart, owner.user == 0, self.user.user != 0 {
                    throw EngineError(
                        .invalidArgument,
                        "idmap: \(FilePath(mount.source).pushing(FilePath(mount.subpath ?? ""))) belongs to root, which no other user of a container becomes on disk: "
                            + "change its owner, or say which ids are meant (idmap=uids=…;gids=…)")
                }
                if let tables = mapping.tables(owner: owner, user: self.user) {
                    (planned.uidMappings, planned.gidMappings) = (tables.users, tables.groups)
                }
            }
            return planned
        }
    }
}

extension ResolvedMount {
    fileprivate var bindOptions: [String] {
        var options = [nonRecursive ? "bind" : "rbind", propagation.isEmpty ? "rprivate" : propagation]
        if readOnly { options += readOnlyBelow == .writable || nonRecursive ? ["ro"] : ["ro", "rro"] }
        return options
    }
}
