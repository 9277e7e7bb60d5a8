import DockerAPI
import EngineClient
import FoundationEssentials

extension Command {
    static func explainNetwork() -> Command {
        let format = Flag<String>.text("format", "table or json")
        return Command(
            name: "explain", usage: "[OPTIONS] PORT|CONTAINER", summary: "Say who reaches a port or a container, and why",
            arguments: .exactly(1), flags: [format]
        ) { call in
            guard ["", "table", "json"].contains(call[format]) else { throw CommandFailure("the format is table or json") }
            let explanation = try await call.program.engine.get(
                NetworkExplanation.self, EngineRequest(.get, "/system/network/explain", query: [("target", call.arguments[0])]))
            if call[format] == "json" {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                try call.program.print(String(decoding: try encoder.encode(explanation), as: UTF8.self))
            } else {
                try call.program.write(NetworkExplanationText.text(explanation))
            }
            return 0
        }
    }
}

/// An explanation for people: what it is, then a table of who reaches what, then what the host has to say.
enum NetworkExplanationText {
    static func text(_ explanation: NetworkExplanation) -> String {
        var text = "\(explanation.Subject ?? "")\n"
        for fact in explanation.Facts ?? [] { text += "  \(fact)\n" }
        let ways = explanation.Ways ?? []
        if !ways.isEmpty {
            text += "\n"
            text += Table.layOut(
                [["FROM", "TO", "REACHES", "WHY"]]
                    + ways.map { [$0.From ?? "", $0.To ?? "", $0.Reaches == true ? "yes" : "no", $0.Why ?? ""] })
        }
        let host = explanation.Host ?? []
        if !host.isEmpty { text += "\n" + host.map { "host: \($0)\n" }.joined() }
        return text
    }
}
