import DockerAPI
import EngineClient
import FoundationEssentials

extension Command {
    static func diskUsage() -> Command {
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let verbose = Flag<Bool>.toggle("verbose", short: "v", "Show every single thing")
        return Command(
            name: "df", usage: "[OPTIONS]", summary: "Show what takes space on the disk", arguments: .none,
            flags: [format, verbose]
        ) { call in
            let usage = try await call.program.engine.get(SystemDataUsageResponse.self, EngineRequest(.get, "/system/df"))
            if call[verbose] {
                guard call[format].isEmpty || call[format] == "json" else {
                    throw CommandFailure("the verbose list is a table or json")
                }
                if call[format] == "json" {
                    try call.program.print(String(decoding: try JSONEncoder().encode(usage), as: UTF8.self))
                } else {
                    try call.program.write(try DiskUsageText.verbose(usage))
                }
                return 0
            }
            let headers = [
                "Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE",
            ]
            try call.program.write(
                try Listing(headers: headers, rows: DiskUsageText.rows(usage)).render(
                    format: call[format], usual: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"))
            return 0
        }
    }
}

private enum DiskUsageText {
    static func rows(_ usage: SystemDataUsageResponse) -> [TemplateValue] {
        let images = usage.Images ?? []
        let used = images.filter { ($0.Containers ?? 0) > 0 }
        let usedSize = used.reduce(0) { $0 + max(0, ($1.Size ?? 0) - max(0, $1.SharedSize ?? 0)) }
        let containers = usage.Containers ?? []
        let stopped = containers.filter { $0.State != "running" && $0.State != "paused" && $0.State != "restarting" }
        let volumes = usage.Volumes ?? []
        let unused = volumes.filter { ($0.UsageData?.RefCount ?? 0) <= 0 }
        let cache = usage.BuildCache ?? []
        func size(_ volumes: [Volume]) -> Int64 { volumes.reduce(0) { $0 + max(0, $1.UsageData?.Size ?? 0) } }
        func size(_ containers: [ContainerSummary]) -> Int64 { containers.reduce(0) { $0 + ($1.SizeRw ?? 0) } }
        let layers = usage.LayersSize ?? 0
        return [
            row("Images", images.count, used.count, layers, max(0, layers - usedSize)),
            row("Containers", containers.count, containers.count - stopped.count, size(containers), size(stopped)),
            row("Local Volumes", volumes.count, volumes.count - unused.count, size(volumes), size(unused)),
            row(
                "Build Cache", cache.count, cache.filter { $0.InUse == true }.count,
                cache.reduce(0) { $0 + ($1.Shared == true ? 0 : $1.Size ?? 0) },
                cache.filter { $0.InUse != true && $0.Shared != true }.reduce(0) { $0 + ($1.Size ?? 0) }, percent: false),
        ]
    }

    private static func row(
        _ type: String, _ total: Int, _ active: Int, _ size: Int64, _ free: Int64, percent: Bool = true
    ) -> TemplateValue {
        let share = size > 0 && percent ? " (\(free * 100 / size)%)" : ""
        return .object([
            ("Active", .string("\(active)")), ("Reclaimable", .string(HumanText.size(free) + share)),
            ("Size", .string(HumanText.size(size))), ("TotalCount", .string("\(total)")), ("Type", .string(type)),
        ])
    }

    static func verbose(_ usage: SystemDataUsageResponse) throws -> String {
        var text = "Images space usage:\n\n"
        let images = ImageRows(truncates: true, showsDigests: false)
        text += try images.listing(usage.Images ?? []).render(
            format: "",
            usual: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.VirtualSize}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}")
        text += "\nContainers space usage:\n\n"
        text += try ContainerRows(truncates: true, showsSize: true, isUsual: true).listing(usage.Containers ?? []).render(
            format: "", usual: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}")
        text += "\nLocal Volumes space usage:\n\n"
        let volumes = (usage.Volumes ?? []).map { volume in
            [volume.Name ?? "", "\(volume.UsageData?.RefCount ?? 0)", HumanText.size(max(0, volume.UsageData?.Size ?? 0))]
        }
        text += Table.layOut([["VOLUME NAME", "LINKS", "SIZE"]] + volumes)
        let entries = usage.BuildCache ?? []
        let size = entries.reduce(Int64(0)) { $0 + ($1.Shared == true ? 0 : $1.Size ?? 0) }
        text += "\nBuild cache usage: \(HumanText.size(size))\n\n"
        let cache = entries.map { entry in
            [
                HumanText.shortID(entry.ID ?? ""), entry.Type ?? "", HumanText.size(entry.Size ?? 0),
                HumanText.ago(rfc3339: entry.CreatedAt), HumanText.ago(rfc3339: entry.LastUsedAt), "\(entry.UsageCount ?? 0)",
                "\(entry.Shared ?? false)",
            ]
        }
        return text + Table.layOut([["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"]] + cache)
    }
}
