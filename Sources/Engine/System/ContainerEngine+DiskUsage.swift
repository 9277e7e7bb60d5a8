import Blocking
public import DockerAPI
import Images
import Linux
import OCI
import Store
import SystemPackage

/// The parts of `docker system df`, by the names that the API's `type` has for them.
public enum DiskUsagePart: String, Sendable, CaseIterable {
    case container, image, volume
    case buildCache = "build-cache"
}

extension ContainerEngine {
    /// `docker system df`. All sizes are what the disk gives for it, as `du` tells them, not the lengths of files.
    public func diskUsage(_ parts: Set<DiskUsagePart> = Set(DiskUsagePart.allCases)) async throws -> SystemDataUsageResponse {
        var response = SystemDataUsageResponse()
        let containers = try await listContainers(all: true, limit: 0, filters: Filters())
        if parts.contains(.image) { try await addImages(to: &response, containers) }
        if parts.contains(.container) { response.Containers = try await withSizes(containers) }
        if parts.contains(.volume) { response.Volumes = try await volumesWithUsage() }
        if parts.contains(.buildCache) { response.BuildCache = try await buildCache().map(Self.entry) }
        return response
    }

    private func addImages(to response: inout SystemDataUsageResponse, _ containers: [ContainerSummary]) async throws {
        let images = try await images.list()
        var users: [Digest: Int] = [:]
        var sizes: [Digest: Int64] = [:]
        for layer in images.flatMap({ Set($0.layers) }) {
            users[layer, default: 0] += 1
            if sizes[layer] == nil { sizes[layer] = try await self.images.layers.diskUsage(layer) }
        }
        response.LayersSize = sizes.values.reduce(0, +)
        response.Images = images.map { image in
            let layers = Set(image.layers)
            var summary = Self.summary(image)
            summary.Size = layers.reduce(0) { $0 + (sizes[$1] ?? 0) }
            summary.SharedSize = layers.filter { users[$0, default: 0] > 1 }.reduce(0) { $0 + (sizes[$1] ?? 0) }
            summary.Containers = Int64(containers.count { $0.ImageID == summary.Id })
            return summary
        }
    }

    private func withSizes(_ containers: [ContainerSummary]) async throws -> [ContainerSummary] {
        var sized = containers
        for index in sized.indices {
            let upper = context.paths.container(sized[index].Id ?? "").upper
            sized[index].SizeRw = try await blocking { try allocatedBytes(of: upper) }
        }
        return sized
    }

    private func volumesWithUsage() async throws -> [Volume] {
        var all: [Volume] = []
        for var volume in await volumes.list() {
            let directory = volumes.directory(volume.Name ?? "")
            var usage = Volume.UsageData()
            usage.Size = try await blocking { try allocatedBytes(of: directory) }
            usage.RefCount = Int64(await users(ofVolume: volume.Name ?? "").count)
            volume.UsageData = usage
            all.append(volume)
        }
        return all
    }

    private static func entry(_ entry: BuildCacheEntry) -> BuildCache {
        var cache = BuildCache()
        cache.ID = entry.id
        cache.`Type` = entry.kind.rawValue
        cache.Description = entry.description
        cache.InUse = entry.isInUse
        cache.Shared = entry.isShared || entry.isRepeated
        cache.Size = entry.bytes
        cache.CreatedAt = entry.created
        cache.LastUsedAt = entry.used
        cache.UsageCount = entry.uses
        return cache
    }
}
