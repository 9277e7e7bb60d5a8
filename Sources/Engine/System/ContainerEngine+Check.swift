import Blocking
public import DockerAPI
import Images
import Linux
import OCI

extension ContainerEngine {
    /// `skiff system check`: compares what is on disk with its digests and rows, and mends what it can if asked to.
    public func checkSystem(repairs: Bool) async throws -> SystemCheckResponse {
        let report = try await owned { [images] in try await images.check(repairs: repairs) }
        var response = SystemCheckResponse()
        response.Layers = report.layers
        response.Images = report.images
        response.Bytes = report.bytes
        response.Defects = try await report.defects.map(Self.defect) + containerDefects() + volumeDefects()
        return response
    }

    /// `skiff image diff`.
    public func compareImages(_ from: String, _ to: String) async throws -> ImageDifferenceResponse {
        let (before, after) = (try await images.image(from), try await images.image(to))
        let difference = try await images.compare(before, after)
        var response = ImageDifferenceResponse()
        response.From = before.id.description
        response.To = after.id.description
        response.Files = difference.files.map { file in
            var item = ImageDifferenceResponse.File()
            item.Path = file.path
            item.Kind = file.kind.rawValue
            item.SizeBefore = file.sizeBefore
            item.SizeAfter = file.sizeAfter
            item.Changes = file.changes.isEmpty ? nil : file.changes
            return item
        }
        response.Packages = difference.packages.map { package in
            var item = ImageDifferenceResponse.Package()
            item.Name = package.name
            item.Kind = package.kind.rawValue
            item.VersionBefore = package.versionBefore
            item.VersionAfter = package.versionAfter
            return item
        }
        return response
    }

    private static func defect(_ found: StoreDefect) -> SystemCheckResponse.Defect {
        var defect = SystemCheckResponse.Defect()
        defect.Kind = found.kind.rawValue
        defect.Subject = found.subject
        defect.Problem = found.problem
        defect.Repair = found.repair
        defect.Repaired = found.isRepaired
        return defect
    }

    private func containerDefects() async throws -> [SystemCheckResponse.Defect] {
        var defects: [SystemCheckResponse.Defect] = []
        for container in await registry.all() {
            let paths = container.paths
            var missing: [String] = []
            if try await blocking({ try lstatIfExists(paths.upper) }) == nil { missing.append("its directory") }
            for layer in Set(try await container.layers) where try await !images.layers.exists(layer) { missing.append("layer \(layer)") }
            // One that is being removed loses its files first.
            guard !missing.isEmpty, (try? await registry.find(container.id)) != nil else { continue }
            let name = await container.record.name
            defects.append(
                Self.defect("container broken", "\(name) (\(container.id))", missing.map { "\($0) is missing or damaged" }.joined(separator: ", ")))
        }
        return defects
    }

    private func volumeDefects() async throws -> [SystemCheckResponse.Defect] {
        var defects: [SystemCheckResponse.Defect] = []
        for volume in await volumes.list() {
            let directory = volumes.directory(volume.Name ?? "")
            guard try await blocking({ try lstatIfExists(directory) }) == nil else { continue }
            defects.append(Self.defect("volume broken", volume.Name ?? "", "its directory is missing"))
        }
        return defects
    }

    private static func defect(_ kind: String, _ subject: String, _ problem: String) -> SystemCheckResponse.Defect {
        var defect = SystemCheckResponse.Defect()
        defect.Kind = kind
        defect.Subject = subject
        defect.Problem = problem
        defect.Repaired = false
        return defect
    }
}
