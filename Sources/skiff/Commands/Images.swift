import DockerAPI
import EngineClient

extension Command {
    static func images() -> Command {
        let all = Flag<Bool>.toggle("all", short: "a", "Show intermediate images too")
        let digests = Flag<Bool>.toggle("digests", "Show digests")
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only ids")
        let tree = Flag<Bool>.toggle("tree", "Show platforms below images, and what they take on disk")
        return Command(
            name: "images", usage: "[OPTIONS] [REPOSITORY[:TAG]]", summary: "List images", arguments: .atMost(1),
            flags: [all, digests, filter, format, noTrunc, quiet, tree]
        ) { call in
            var query: [(String, String)] = []
            if call[all] { query.append(("all", "1")) }
            if call[digests] { query.append(("digests", "1")) }
            let filters = call[filter] + call.arguments.map { "reference=\($0)" }
            if !filters.isEmpty { query.append(("filters", try Filters.query(filters))) }
            let images = try await call.program.engine.imageSummaries(EngineRequest(.get, "/images/json", query: query))
            if call[tree] {
                for (flag, isGiven) in [
                    ("quiet", call[quiet]), ("no-trunc", call[noTrunc]), ("digests", call[digests]), ("format", !call[format].isEmpty),
                ]
                where isGiven {
                    throw CommandFailure("--\(flag) is not yet supported with --tree")
                }
                try call.program.write(try await ImageTree(engine: call.program.engine).text(images))
                return 0
            }
            let format = call.format(format, "imagesFormat", isQuiet: call[quiet])
            var rows = ImageRows(truncates: !call[noTrunc], showsDigests: call[digests], listsDigests: format.contains(".Digest"))
            rows.isUsual = format.isEmpty || format == "table"
            if call[quiet], format.isEmpty {
                // A line for each name, as the table would have.
                try call.program.write(rows.ids(images))
            } else {
                try call.program.write(try rows.listing(images).render(format: format, usual: rows.usual))
            }
            return 0
        }
    }
}

/// Images as rows of `images`, one for each name.
struct ImageRows {
    let truncates: Bool
    /// The table has a column for them.
    let showsDigests: Bool
    /// The user's own format has them.
    var listsDigests = false
    /// Only the columns of the usual table are made: the others cost more than these.
    var isUsual = false

    var usual: String {
        "{{.Repository}}\t{{.Tag}}\t" + (showsDigests ? "{{.Digest}}\t" : "") + "{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
    }

    private static let headers = [
        "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID", "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT", "Size": "SIZE", "Containers": "CONTAINERS", "SharedSize": "SHARED SIZE",
        "UniqueSize": "UNIQUE SIZE", "VirtualSize": "SIZE",
    ]

    func listing(_ images: [ImageSummary]) -> Listing {
        Listing(headers: Self.headers, rows: images.flatMap { image in names(image).map { row(image, $0) } })
    }

    func ids(_ images: [ImageSummary]) -> String {
        images.flatMap { image in names(image).map { _ in id(image) + "\n" } }.joined()
    }

    private struct Name {
        var repository = "<none>"
        var tag = "<none>"
        var digest = "<none>"
    }

    private func names(_ image: ImageSummary) -> [Name] {
        let digests = (image.RepoDigests ?? []).map { ImageName.split($0) }.filter { $0.name != "<none>" }
        var names = (image.RepoTags ?? []).map { ImageName.split($0) }.filter { $0.name != "<none>" }.map { name in
            Name(
                repository: name.name, tag: name.tag.isEmpty ? "<none>" : name.tag,
                digest: (showsDigests || listsDigests ? digests.first { $0.name == name.name }?.tag : nil) ?? "<none>")
        }
        let tagged = Set(names.map(\.repository))
        names += digests.filter { !tagged.contains($0.name) }.map { Name(repository: $0.name, digest: $0.tag) }
        return names.isEmpty ? [Name()] : names
    }

    private func id(_ image: ImageSummary) -> String {
        truncates ? HumanText.shortID(image.Id ?? "") : image.Id ?? ""
    }

    private func row(_ image: ImageSummary, _ name: Name) -> TemplateValue {
        let created = image.Created ?? 0
        func count(_ number: Int64?) -> String { number.map { $0 < 0 ? "N/A" : "\($0)" } ?? "N/A" }
        func size(_ bytes: Int64?) -> String { bytes.map { $0 < 0 ? "N/A" : HumanText.size($0, digits: 3) } ?? "N/A" }
        var cells: [(String, String)] = [
            ("CreatedSince", created == 0 ? "N/A" : HumanText.ago(unixTime: created)), ("Digest", name.digest),
            ("ID", id(image)), ("Repository", name.repository), ("Size", size(image.Size ?? 0)), ("Tag", name.tag),
        ]
        if !isUsual {
            cells += [
                ("Containers", count(image.Containers)), ("CreatedAt", HumanText.timestamp(unixTime: created)),
                ("SharedSize", size(image.SharedSize)),
                ("UniqueSize", size(image.SharedSize.flatMap { $0 < 0 ? nil : (image.Size ?? 0) - $0 })),
                ("VirtualSize", HumanText.size(image.Size ?? 0, digits: 3)),
            ]
            // JSON shows them in this order.
            cells.sort { $0.0 < $1.0 }
        }
        return .object(cells.map { ($0.0, .string($0.1)) })
    }
}
