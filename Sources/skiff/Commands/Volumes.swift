import DockerAPI
import EngineClient

extension Command {
    static func createVolume() -> Command {
        let driver = Flag<String>.text("driver", short: "d", initially: "local", "Driver of the volume")
        let label = Flag<[String]>.list("label", "Set a label")
        let option = Flag<[String]>.list("opt", short: "o", as: "map", "Option of the driver")
        let name = Flag<String>.text("name", "Name of the volume").hidden()
        return Command(
            name: "create", usage: "[OPTIONS] [VOLUME]", summary: "Make a volume", arguments: .atMost(1),
            flags: [driver, label, name, option]
        ) { call in
            var request = VolumeCreateRequest()
            guard call[name].isEmpty || call.arguments.isEmpty else {
                throw CommandFailure("conflicting options: cannot specify a volume name through both --name and as a positional arg")
            }
            request.Name = call.arguments.first ?? call[name]
            request.Driver = call[driver]
            request.Labels = EnvironmentList.labels(call[label])
            request.DriverOpts = EnvironmentList.labels(call[option])
            let volume = try await call.program.engine.get(
                Volume.self, EngineRequest(.post, "/volumes/create", body: try EngineClient.json(request)))
            try call.program.print(volume.Name ?? "")
            return 0
        }
    }

    static func volumes() -> Command {
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only names")
        return Command(
            name: "ls", usage: "[OPTIONS]", summary: "List volumes", arguments: .none, flags: [filter, format, quiet]
        ) { call in
            let query = call[filter].isEmpty ? [] : [("filters", try Filters.query(call[filter]))]
            let answer = try await call.program.engine.get(
                VolumeListResponse.self, EngineRequest(.get, "/volumes", query: query))
            let volumes = (answer.Volumes ?? []).sorted { ($0.Name ?? "") < ($1.Name ?? "") }
            let headers = [
                "Name": "VOLUME NAME", "Driver": "DRIVER", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT",
                "Labels": "LABELS", "Label": "LABEL", "Size": "SIZE", "Links": "LINKS", "Status": "STATUS",
                "Availability": "AVAILABILITY", "Group": "GROUP",
            ]
            let listing = Listing(headers: headers, rows: volumes.map(row))
            let format = call[quiet] && call[format].isEmpty ? "{{.Name}}" : call.format(format, "volumesFormat")
            try call.program.write(try listing.render(format: format, usual: "{{.Driver}}\t{{.Name}}"))
            return 0
        }
    }

    private static func row(_ volume: Volume) -> TemplateValue {
        let labels = volume.Labels ?? [:]
        let cells: [(String, String)] = [
            ("Availability", "N/A"), ("Driver", volume.Driver ?? ""), ("Group", "N/A"),
            ("Labels", labels.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")),
            ("Links", volume.UsageData?.RefCount.map { "\($0)" } ?? "N/A"), ("Mountpoint", volume.Mountpoint ?? ""),
            ("Name", volume.Name ?? ""), ("Scope", volume.Scope ?? ""),
            ("Size", volume.UsageData?.Size.map { HumanText.size($0) } ?? "N/A"), ("Status", "N/A"),
        ]
        let label = TemplateValue.function { arguments in .string(labels[arguments.first?.text ?? ""] ?? "") }
        return .object(cells.map { ($0.0, .string($0.1)) } + [("Label", label)])
    }

    static func removeVolume() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Do not complain about missing ones")
        return Command(
            name: "rm", usage: "[OPTIONS] VOLUME [VOLUME...]", summary: "Remove volumes", arguments: .atLeast(1),
            flags: [force]
        ) { call in
            try await call.program.forEach(call.arguments) { name in
                try await call.program.engine.send(
                    EngineRequest(
                        .delete, "/volumes/\(EngineRequest.escaped(name))", query: call[force] ? [("force", "1")] : []))
                try call.program.print(name)
            }
        }
    }
}
