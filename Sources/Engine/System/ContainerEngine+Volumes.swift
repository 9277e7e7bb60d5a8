import Blocking
public import DockerAPI
import Linux
import Networking
import SystemPackage

extension ContainerEngine {
    public func listVolumes(_ filters: Filters) async throws -> VolumeListResponse {
        try filters.check(["dangling", "driver", "label", "name"])
        let used = await volumesInUse()
        var response = VolumeListResponse()
        response.Volumes = await volumes.list().filter { volume in
            let name = volume.Name ?? ""
            return filters.any("name") { name.contains($0) } && filters.any("driver") { $0 == "local" }
                && filters.any("dangling") { ["true", "1"].contains($0) != used.contains(name) }
                && filters.matches(labels: volume.Labels ?? [:])
        }
        response.Warnings = []
        return response
    }

    public func createVolume(_ wanted: VolumeCreateRequest) async throws -> Volume {
        guard ["", "local"].contains(wanted.Driver ?? "") else {
            throw EngineError(.notFound, "error looking up volume plugin \(wanted.Driver ?? ""): plugin not found")
        }
        let name = wanted.Name ?? ""
        return try await volumes.create(
            name.isEmpty ? nil : name, labels: wanted.Labels ?? [:], options: wanted.DriverOpts ?? [:])
    }

    public func removeVolume(_ name: String, force: Bool) async throws {
        let users = await users(ofVolume: name)
        guard users.isEmpty else {
            throw EngineError(.conflict, "remove \(name): volume is in use - [\(users.joined(separator: ", "))]")
        }
        do {
            try await volumes.remove(name)
        } catch let error as EngineError where force && error.kind == .notFound {
            return
        }
    }

    /// Anonymous volumes that no container has; with the filter `all=1` named ones too.
    public func pruneVolumes(_ filters: Filters) async throws -> VolumesPruneResponse {
        try filters.check(["all", "label", "label!"])
        let all = filters["all"].contains { ["true", "1"].contains($0) }
        let used = await volumesInUse()
        var response = VolumesPruneResponse()
        var deleted: [String] = []
        var space: Int64 = 0
        for volume in await volumes.list() {
            let name = volume.Name ?? ""
            let anonymous = volume.Labels?["com.docker.volume.anonymous"] != nil
            let labels = volume.Labels ?? [:]
            guard !used.contains(name), all || anonymous, filters.matches(labels: labels), !filters.excludes(labels: labels) else {
                continue
            }
            let directory = volumes.directory(name)
            space += try await blocking { try allocatedBytes(of: directory) }
            try await volumes.remove(name)
            deleted.append(name)
        }
        response.VolumesDeleted = deleted
        response.SpaceReclaimed = space
        events.publish("volume", "prune", id: "", attributes: ["reclaimed": "\(space)"])
        return response
    }

    func users(ofVolume name: String) async -> [String] {
        var users: [String] = []
        for container in await registry.all() where await container.record.mounts.contains(where: { $0.name == name }) {
            users.append(container.id)
        }
        return users
    }

    private func volumesInUse() async -> Set<String> {
        var names: Set<String> = []
        for container in await registry.all() {
            for mount in await container.record.mounts where mount.kind == .volume { names.insert(mount.name) }
        }
        return names
    }

    public func pruneContainers(_ filters: Filters) async throws -> ContainersPruneResponse {
        try filters.check(["until", "label", "label!"])
        let before = try filters.until()
        var deleted: [String] = []
        var space: Int64 = 0
        for container in await registry.all() {
            let record = await container.record
            let labels = record.config.Labels ?? [:]
            guard await !container.phase.isLive, filters.matches(labels: labels), !filters.excludes(labels: labels) else { continue }
            if let before, let created = Timestamp(rfc3339: record.created), created >= before { continue }
            let upper = container.paths.upper
            let size = try await blocking { try allocatedBytes(of: upper) }
            do {
                try await container.remove(force: false, removeVolumes: false)
            } catch let error as EngineError where error.kind == .conflict || error.kind == .notFound {
                continue  // Somebody started or removed it meanwhile.
            }
            deleted.append(container.id)
            space += size
        }
        var response = ContainersPruneResponse()
        response.ContainersDeleted = deleted
        response.SpaceReclaimed = space
        events.publish("container", "prune", id: "", attributes: ["reclaimed": "\(space)"])
        return response
    }
}
