import DockerAPI
import SystemPackage

/// What an update changes in the mounts of a container.
struct MountsChange: Sendable {
    let coming: [DockerAPI.Mount]
    /// Destinations.
    let leaving: [String]
    /// Also what is in use.
    let lazily: Bool

    init(_ update: ContainerUpdateRequest) throws(EngineError) {
        coming = update.Mounts ?? []
        var leaving: [String] = []
        for path in update.MountsRemoved ?? [] {
            guard path.hasPrefix("/"), !path.utf8.contains(0) else {
                throw EngineError(.invalidArgument, "invalid mount path: '\(path)' mount path must be absolute")
            }
            leaving.append(FilePath(path).lexicallyNormalized().string)
        }
        self.leaving = leaving
        lazily = update.MountsRemovedLazily ?? false
    }

    var isEmpty: Bool { coming.isEmpty && leaving.isEmpty }

    /// Those of a container that go, the deepest first.
    func leaving(from present: [ResolvedMount]) throws(EngineError) -> [ResolvedMount] {
        var found: [ResolvedMount] = []
        for path in leaving {
            guard let mount = present.first(where: { $0.destination == path }) else {
                throw EngineError(.invalidArgument, "nothing is mounted at \(path)")
            }
            if !found.contains(mount) { found.append(mount) }
        }
        return found.sorted { $0.destination > $1.destination }
    }

    /// Refuses what cannot come to these, also where one of them goes: until then its place is taken.
    static func check(_ coming: [ResolvedMount], with present: [ResolvedMount]) throws(EngineError) {
        for (index, mount) in coming.enumerated() {
            guard !(present + coming[..<index]).contains(where: { $0.destination == mount.destination }) else {
                throw EngineError(.invalidArgument, "Duplicate mount point: \(mount.destination)")
            }
        }
    }

    /// Refuses what would cover the file systems that a running container needs, or other mounts: at a start it would lie below
    /// them.
    static func checkCovers(_ coming: [ResolvedMount], over present: [String]) throws(EngineError) {
        for mount in coming {
            let place = FilePath(mount.destination)
            for other in present + coming.map(\.destination) where FilePath(other).starts(with: place) {
                guard other != mount.destination || needed.contains(other) else { continue }
                throw EngineError(
                    .conflict, "cannot mount at \(mount.destination) while the container runs: it would cover what is mounted at \(other)")
            }
        }
    }

    private static let needed: Set<String> = ["/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]

    /// The settings of the container as they are afterwards.
    func applied(to present: HostConfig) -> HostConfig {
        var changed = present
        func leaves(_ path: String?) -> Bool { path.map { leaving.contains(FilePath($0).lexicallyNormalized().string) } ?? false }
        if !coming.isEmpty || changed.Mounts != nil { changed.Mounts = (changed.Mounts ?? []).filter { !leaves($0.Target) } + coming }
        changed.Binds = changed.Binds?.filter { bind in
            let parts = bind.split(separator: ":", omittingEmptySubsequences: false)
            return !leaves(String(parts.count > 1 ? parts[1] : parts[0]))
        }
        changed.Tmpfs = changed.Tmpfs?.filter { !leaves($0.key) }
        return changed
    }

    /// The volumes that it declares, likewise.
    func applied(to volumes: [String: EmptyObject]?) -> [String: EmptyObject]? {
        volumes?.filter { !leaving.contains(FilePath($0.key).lexicallyNormalized().string) }
    }
}
