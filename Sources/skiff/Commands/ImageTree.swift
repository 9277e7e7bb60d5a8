import DockerAPI
import EngineClient

/// Images with their platforms below, what they take on disk, and whether a container has them (`U`).
struct ImageTree {
    let engine: EngineClient

    func text(_ images: [ImageSummary]) async throws -> String {
        let usage = try await engine.get(
            SystemDataUsageResponse.self, EngineRequest(.get, "/system/df", query: [("type", "image")]))
        let used = Dictionary((usage.Images ?? []).map { ($0.Id ?? "", $0) }) { first, _ in first }
        var rows = [["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]]
        for image in images {
            let id = image.Id ?? ""
            let details = try await engine.get(ImageInspect.self, EngineRequest(.get, "/images/\(EngineRequest.escaped(id))/json"))
            let sizes = [HumanText.size(used[id]?.Size ?? 0, digits: 3), HumanText.size(image.Size ?? 0, digits: 3)]
            let extra = (used[id]?.Containers ?? 0) > 0 ? "U" : ""
            let platform = [details.Os, details.Architecture, details.Variant].compactMap { $0?.isEmpty == false ? $0 : nil }
            let names = (image.RepoTags ?? []).isEmpty ? ["<untagged>"] : image.RepoTags ?? []
            for name in names { rows.append([name, HumanText.shortID(id)] + sizes + [extra]) }
            rows.append(["└─ " + platform.joined(separator: "/"), HumanText.shortID(id)] + sizes + [extra])
        }
        return Table.layOut(rows)
    }
}
