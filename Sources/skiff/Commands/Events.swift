import DockerAPI
import EngineClient
import FoundationEssentials
import OCI

extension Command {
    static func events() -> Command {
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "json, or a template in Go's language")
        let since = Flag<String>.text("since", "Show what is newer than a time or a duration")
        let until = Flag<String>.text("until", "Stop at a time or a duration before now")
        return Command(
            name: "events", usage: "[OPTIONS]", summary: "Show what happens, as it happens", arguments: .none,
            flags: [filter, format, since, until]
        ) { call in
            var query: [(String, String)] = []
            if !call[since].isEmpty { query.append(("since", try Moment.query(call[since]))) }
            if !call[until].isEmpty { query.append(("until", try Moment.query(call[until]))) }
            if !call[filter].isEmpty { query.append(("filters", try Filters.query(call[filter]))) }
            let template = try call[format].isEmpty ? nil : Template(call[format] == "json" ? "{{json .}}" : call[format])
            try await call.program.engine.open(EngineRequest(.get, "/events", query: query)) { response in
                try await response.forEachLine { line in
                    if let template {
                        try call.program.print(try template.render(TemplateValue(try JSONValue.parse(line))))
                    } else {
                        let event = try JSONDecoder().decode(EventMessage.self, from: Data(line))
                        try call.program.print(EventText.line(event))
                    }
                }
            }
            return 0
        }
    }
}

enum EventText {
    /// `2026-01-02T03:04:05.123456789Z container start 0123… (image=debian, name=a)`
    static func line(_ event: EventMessage) -> String {
        let nanoseconds = event.timeNano ?? (event.time ?? 0) * 1_000_000_000
        let second = HumanText.timestamp(unixTime: nanoseconds / 1_000_000_000).prefix(19).replacing(" ", with: "T")
        let fraction = String(nanoseconds % 1_000_000_000)
        let padded = String(repeating: "0", count: max(0, 9 - fraction.count)) + fraction
        let attributes = (event.Actor?.Attributes ?? [:]).map { "\($0.key)=\($0.value)" }.sorted()
        let tail = attributes.isEmpty ? "" : " (\(attributes.joined(separator: ", ")))"
        return "\(second).\(padded)Z \(event.Type ?? "") \(event.Action ?? "") \(event.Actor?.ID ?? "")\(tail)"
    }
}
