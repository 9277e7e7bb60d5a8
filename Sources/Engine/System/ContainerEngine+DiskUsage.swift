import Blocking
public import DockerAPI
import Images
import Linux
import OCI
import Store
import SystemPackage

extension ContainerEngine {
    /// `docker system df`.
    public func diskUsage() async throws -> SystemDataUsageResponse {
        var response = SystemDataUsageResponse()
        let images = try await images.list()
        var sizes: [String: Int64] = [:]
        var users: [String: Int] = [:]
        for image in images {
            for layer in image.layers {
                users[layer.description, default: 0] += 1
                if sizes[layer.description] == nil { sizes[layer.description] = try await self.images.layers.size(layer) ?? 0 }
            }
        }
        response.LayersSize = sizes.values.reduce(0, +)
        let containers = try await listContainers(all: true, limit: 0, filters: Filters())
        var summaries = try await listImages(all: true, filters: Filters())
        for index in summaries.indices {
            let layers = images.first { $0.id.description == summaries[index].Id }?.layers ?? []
            summaries[index].SharedSize = layers.filter { users[$0.description, default: 0] > 1 }.reduce(0) { $0 + (sizes["\($1)"] ?? 0) }
            summaries[index].Containers = Int64(containers.count { $0.ImageID == summaries[index].Id })
        }
        response.Images = summaries
        response.Containers = try await withSizes(containers)
        response.Volumes = try await volumesWithUsage()
        response.BuildCache = []
        return response
    }

    private func withSizes(_ containers: [ContainerSummary]) async throws -> [ContainerSummary] {
        var sized = containers
        for index in sized.indices {
            let upper = context.paths.container(sized[index].Id ?? "").upper
            sized[index].SizeRw = try await blocking { try DiskSpace.used(by: upper) }
        }
        return sized
    }

    private func volumesWithUsage() async throws -> [Volume] {
        var all: [Volume] = []
        for var volume in await volumes.list() {
            let directory = volumes.directory(volume.Name ?? "")
            var usage = Volume.UsageData()
            usage.Size = try await blocking { try DiskSpace.used(by: directory) }
            usage.RefCount = Int64(await users(ofVolume: volume.Name ?? "").count)
            volume.UsageData = usage
            all.append(volume)
        }
        return all
    }
}
