import DockerAPI
import EngineClient
import FoundationEssentials

extension Command {
    static func checkSystem() -> Command {
        let repair = Flag<Bool>.toggle("repair", "Mend what can be mended without losing anything")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        return Command(
            name: "check", usage: "[OPTIONS]", summary: "Compare everything on disk with its digests", arguments: .none,
            flags: [repair, format]
        ) { call in
            let request = EngineRequest(.post, "/system/check", query: call[repair] ? [("repair", "1")] : [])
            let report = try await call.program.engine.get(SystemCheckResponse.self, request)
            let defects = report.Defects ?? []
            if !defects.isEmpty || !call[format].isEmpty {
                let headers = ["Kind": "KIND", "Subject": "SUBJECT", "Problem": "PROBLEM", "Repair": "REPAIR", "Repaired": "REPAIRED"]
                let usual = "{{.Kind}}\t{{.Subject}}\t{{.Problem}}" + (call[repair] ? "\t{{.Repair}}" : "")
                try call.program.write(try Listing(headers: headers, rows: defects.map(row)).render(format: call[format], usual: usual))
            }
            let left = defects.count { !($0.Repaired == true && call[repair]) }
            try call.program.warn(
                "\(report.Layers ?? 0) layers (\(HumanText.size(report.Bytes ?? 0))) and \(report.Images ?? 0) images looked at: "
                    + (defects.isEmpty ? "all whole" : "\(defects.count) defects" + (left < defects.count ? ", \(left) of them left" : "")))
            return left == 0 ? 0 : 1
        }
    }

    private static func row(_ defect: SystemCheckResponse.Defect) -> TemplateValue {
        .object([
            ("Kind", .string(defect.Kind ?? "")), ("Subject", .string(defect.Subject ?? "")),
            ("Problem", .string(defect.Problem ?? "")), ("Repair", .string(defect.Repair ?? "")),
            ("Repaired", .string("\(defect.Repaired ?? false)")),
        ])
    }
}
