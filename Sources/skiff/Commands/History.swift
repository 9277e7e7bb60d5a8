import DockerAPI
import EngineClient

extension Command {
    static func history() -> Command {
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let human = Flag<Bool>.toggle("human", short: "H", initially: true, "Sizes and times for people")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only ids")
        return Command(
            name: "history", usage: "[OPTIONS] IMAGE", summary: "Show how an image was made", arguments: .exactly(1),
            flags: [format, human, noTrunc, quiet]
        ) { call in
            let steps = try await call.program.engine.get(
                [HistoryResponseItem].self,
                EngineRequest(.get, "/images/\(EngineRequest.escaped(call.arguments[0]))/history"))
            let rows = steps.map { row($0, truncates: !call[noTrunc], isHuman: call[human]) }
            let headers = [
                "ID": "IMAGE", "CreatedSince": "CREATED", "CreatedAt": "CREATED AT", "CreatedBy": "CREATED BY",
                "Size": "SIZE", "Comment": "COMMENT",
            ]
            let since = call[human] ? "{{.CreatedSince}}" : "{{.CreatedAt}}"
            let usual = call[quiet] ? "{{.ID}}" : "{{.ID}}\t\(since)\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
            let listing = Listing(headers: headers, rows: rows)
            let format = call[quiet] && call[format].isEmpty ? "{{.ID}}" : call[format]
            try call.program.write(try listing.render(format: format, usual: usual))
            return 0
        }
    }

    private static func row(_ step: HistoryResponseItem, truncates: Bool, isHuman: Bool) -> TemplateValue {
        let id = step.Id ?? ""
        let created = step.Created ?? 0
        let command = (step.CreatedBy ?? "").replacing("\t", with: " ")
        let at = HumanText.timestamp(unixTime: created).prefix(19).replacing(" ", with: "T") + "Z"
        let cells: [(String, String)] = [
            ("Comment", step.Comment ?? ""), ("CreatedAt", created <= 0 ? "" : String(at)),
            ("CreatedBy", truncates ? HumanText.ellipsis(command, 45) : command),
            ("CreatedSince", created <= 0 ? "N/A" : HumanText.ago(unixTime: created)),
            ("ID", truncates ? HumanText.shortID(id) : id),
            ("Size", isHuman ? HumanText.size(step.Size ?? 0, digits: 3) : "\(step.Size ?? 0)"),
        ]
        return .object(cells.map { ($0.0, .string($0.1)) })
    }
}
