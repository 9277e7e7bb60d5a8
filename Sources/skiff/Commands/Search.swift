import DockerAPI
import EngineClient
import OCI

extension Command {
    static func search() -> Command {
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let limit = Flag<Int64?>.integer("limit", "Most results")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        return Command(
            name: "search", usage: "[OPTIONS] TERM", summary: "Look for images at a registry", arguments: .exactly(1),
            flags: [filter, format, limit, noTrunc]
        ) { call in
            var query = [("term", call.arguments[0])]
            if let limit = call[limit] { query.append(("limit", "\(limit)")) }
            if !call[filter].isEmpty { query.append(("filters", try Filters.query(call[filter]))) }
            var request = EngineRequest(.get, "/images/search", query: query)
            if let host = try? Reference(call.arguments[0]) {  // Words that are no name are looked for at Docker's registry.
                request.headers = try await Logins(call.program.environment).header(for: host)
            }
            let found = try await call.program.engine.get([SearchResult]?.self, request) ?? []
            let rows = found.map { SearchRow(result: $0, truncates: !call[noTrunc]).value }
            let headers = ["Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL", "IsAutomated": "AUTOMATED"]
            try call.program.write(
                try Listing(headers: headers, rows: rows).render(
                    format: call[format], usual: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}"))
            return 0
        }
    }

    static func inspectManifest() -> Command {
        Command(
            name: "inspect", usage: "MANIFEST", summary: "Show the manifest that a registry has under a name", arguments: .exactly(1)
        ) { call in
            let reference = try Reference(call.arguments[0]).withDefaultTag()
            var request = EngineRequest(.get, "/distribution/\(EngineRequest.escaped("\(reference)"))/manifest")
            request.headers = try await Logins(call.program.environment).header(for: reference)
            let bytes = try await call.program.engine.send(request)
            var text = ""
            JSONText.write(try JSONValue.parse(bytes, limits: .init(bytes: 8 << 20)), into: &text, level: 0)
            try call.program.print(text)
            return 0
        }
    }
}

private struct SearchRow {
    let result: SearchResult
    let truncates: Bool

    var value: TemplateValue {
        let plain = (result.description ?? "").replacing("\n", with: " ").replacing("\r", with: " ")
        let description = truncates && plain.count > 45 ? "\(plain.prefix(44))…" : plain
        func mark(_ flag: Bool?) -> String { flag == true ? "[OK]" : "" }
        return .object([
            ("Name", .string(result.name ?? "")), ("Description", .string(description)), ("StarCount", .string("\(result.star_count ?? 0)")),
            ("IsOfficial", .string(mark(result.is_official))), ("IsAutomated", .string(mark(result.is_automated))),
        ])
    }
}
