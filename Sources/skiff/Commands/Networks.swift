import DockerAPI
import EngineClient

extension Command {
    static func networks() -> Command {
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only ids")
        return Command(
            name: "ls", usage: "[OPTIONS]", summary: "List networks", arguments: .none,
            flags: [filter, format, noTrunc, quiet]
        ) { call in
            let query = call[filter].isEmpty ? [] : [("filters", try Filters.query(call[filter]))]
            let networks =
                try await call.program.engine.get(
                    [NetworkInspect]?.self, EngineRequest(.get, "/networks", query: query)) ?? []
            let headers = [
                "ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6",
                "Internal": "INTERNAL", "Labels": "LABELS", "Label": "LABEL", "CreatedAt": "CREATED AT",
            ]
            let sorted = networks.sorted { ($0.Name ?? "") < ($1.Name ?? "") }
            let listing = Listing(headers: headers, rows: sorted.map { row($0, truncates: !call[noTrunc]) })
            let format = call[quiet] && call[format].isEmpty ? "{{.ID}}" : call.format(format, "networksFormat")
            try call.program.write(
                try listing.render(format: format, usual: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"))
            return 0
        }
    }

    private static func row(_ network: NetworkInspect, truncates: Bool) -> TemplateValue {
        let labels = network.Labels ?? [:]
        let id = network.Id ?? ""
        let created = (network.Created ?? "").replacing("T", with: " ").replacing("Z", with: " +0000 UTC")
        let cells: [(String, String)] = [
            ("CreatedAt", created), ("Driver", network.Driver ?? ""),
            ("ID", truncates ? HumanText.shortID(id) : id), ("IPv4", "\(network.EnableIPv4 ?? true)"),
            ("IPv6", "\(network.EnableIPv6 ?? false)"), ("Internal", "\(network.Internal ?? false)"),
            ("Labels", labels.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")),
            ("Name", network.Name ?? ""), ("Scope", network.Scope ?? ""),
        ]
        let label = TemplateValue.function { arguments in .string(labels[arguments.first?.text ?? ""] ?? "") }
        return .object(cells.map { ($0.0, .string($0.1)) } + [("Label", label)])
    }
}
