import DockerAPI
import EngineClient
import FoundationEssentials

extension Command {
    static func compareImages() -> Command {
        let format = Flag<String>.text("format", "table or json")
        return Command(
            name: "diff", usage: "[OPTIONS] IMAGE IMAGE", summary: "Show what is different in another image",
            arguments: .exactly(2), flags: [format]
        ) { call in
            guard ["", "table", "json"].contains(call[format]) else { throw CommandFailure("the format is table or json") }
            let query = [("from", call.arguments[0]), ("to", call.arguments[1])]
            let difference = try await call.program.engine.get(
                ImageDifferenceResponse.self, EngineRequest(.get, "/images/diff", query: query))
            if call[format] == "json" {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                try call.program.print(String(decoding: try encoder.encode(difference), as: UTF8.self))
            } else {
                try call.program.write(ImageDifferenceText.text(difference))
            }
            return 0
        }
    }
}

/// The difference of two images for people: files as `docker diff` shows them, with sizes, then packages, then sums.
enum ImageDifferenceText {
    static func text(_ difference: ImageDifferenceResponse) -> String {
        let (files, packages) = (difference.Files ?? [], difference.Packages ?? [])
        var text = ""
        if !files.isEmpty {
            text += Table.layOut(
                [["CHANGE", "SIZE", "WAS", "PATH", "WHAT"]]
                    + files.map { file in
                        [
                            letter(file.Kind), size(file.SizeAfter), size(file.SizeBefore), quotedIfOdd(file.Path ?? ""),
                            (file.Changes ?? []).joined(separator: ","),
                        ]
                    })
        }
        if !packages.isEmpty {
            let rows = packages.map { package in
                [letter(package.Kind), package.Name ?? "", package.VersionBefore ?? "-", package.VersionAfter ?? "-"]
            }
            text += (text.isEmpty ? "" : "\n") + Table.layOut([["CHANGE", "PACKAGE", "WAS", "IS"]] + rows)
        }
        let grown = files.reduce(Int64(0)) { $0 + ($1.SizeAfter ?? 0) - ($1.SizeBefore ?? 0) }
        let sums =
            "\(sum(files.map(\.Kind))) files, \(sum(packages.map(\.Kind))) packages, "
            + (grown < 0 ? "-" : "+") + HumanText.size(abs(grown))
        return text + (text.isEmpty ? "" : "\n") + sums + "\n"
    }

    private static func sum(_ kinds: [String?]) -> String {
        ["added", "changed", "removed"].map { kind in "\(kinds.count { $0 == kind }) \(kind)" }.joined(separator: "/")
    }

    private static func letter(_ kind: String?) -> String {
        switch kind {
        case "added": "A"
        case "removed": "D"
        default: "C"
        }
    }

    private static func size(_ bytes: Int64?) -> String { bytes.map { HumanText.size($0, digits: 3) } ?? "-" }

    /// A name from an image must not play with the terminal.
    private static func quotedIfOdd(_ path: String) -> String {
        path.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? HumanText.quoted(path) : path
    }
}
