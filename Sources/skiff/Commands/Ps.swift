import DockerAPI
import EngineClient
import FoundationEssentials
import OCI

extension Command {
    static func ps() -> Command {
        let all = Flag<Bool>.toggle("all", short: "a", "Show stopped ones too")
        let filter = Flag<[String]>.filter("Show only what matches")
        let format = Flag<String>.text("format", "table, json, or a template in Go's language")
        let last = Flag<Int64?>.integer("last", short: "n", "Show the last containers, running or not")
        let latest = Flag<Bool>.toggle("latest", short: "l", "Show the last container, running or not")
        let noTrunc = Flag<Bool>.toggle("no-trunc", "Do not shorten anything")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only ids")
        let size = Flag<Bool>.toggle("size", short: "s", "Show sizes")
        return Command(
            name: "ps", usage: "[OPTIONS]", summary: "List containers", arguments: .none,
            flags: [all, filter, format, last, latest, noTrunc, quiet, size]
        ) { call in
            var query: [(String, String)] = []
            let format = call.format(format, "psFormat", isQuiet: call[quiet])
            let limit = call[latest] ? 1 : call[last] ?? -1
            if call[all] { query.append(("all", "1")) }
            if limit > 0 { query.append(("limit", "\(limit)")) }
            let wantsSize = call[size] || format.contains(".Size")
            if wantsSize { query.append(("size", "1")) }
            if !call[filter].isEmpty { query.append(("filters", try Filters.query(call[filter]))) }
            let answer = try await call.program.engine.send(EngineRequest(.get, "/containers/json", query: query))
            let containers = try ContainerRows.read(answer)
            let rows = ContainerRows(truncates: !call[noTrunc], showsSize: call[size], isUsual: format.isEmpty || format == "table")
            try call.program.write(
                call[quiet] && format.isEmpty
                    ? rows.ids(containers) : try rows.listing(containers).render(format: format, usual: rows.usual))
            return 0
        }
    }
}

/// `--filter` as the engine takes it: a JSON object of lists.
enum Filters {
    static func query(_ filters: [String]) throws -> String {
        var grouped: [String: [String]] = [:]
        for filter in filters {
            let parts = filter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = parts[0].lowercased().trimmed
            grouped[key, default: []].append(parts.count == 2 ? String(parts[1]).trimmed : "")
        }
        let members = grouped.sorted { $0.key < $1.key }.map { key, values in
            (key, JSONValue.array(values.map(JSONValue.string)))
        }
        return String(decoding: JSONValue.object(members).serialized(), as: UTF8.self)
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

/// Containers as rows of `ps`.
struct ContainerRows {
    let truncates: Bool
    let showsSize: Bool
    /// No template of the user's asks for what the usual table does not show.
    var isUsual = false

    var usual: String {
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
            + (showsSize ? "\t{{.Size}}" : "")
    }

    /// What of the engine's list is shown. A thousand containers are read so in a tenth of the time that a decoder takes.
    static func read(_ bytes: [UInt8]) throws -> [ContainerSummary] {
        let value = try JSONValue.parse(
            bytes, limits: JSONValue.Limits(bytes: 1 << 30), unwanted: ["HostConfig", "ImageID", "ImageManifestDescriptor", "Health"],
            namesOnly: ["NetworkSettings"])
        return (value.array ?? []).map { ContainerSummary($0) }
    }

    private static let headers = [
        "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED",
        "Ports": "PORTS", "State": "STATE", "Status": "STATUS", "Size": "SIZE", "Names": "NAMES", "Labels": "LABELS",
        "Label": "LABEL", "Mounts": "MOUNTS", "Networks": "NETWORKS", "LocalVolumes": "LOCAL VOLUMES", "HealthStatus": "HEALTH STATUS",
    ]

    func ids(_ containers: [ContainerSummary]) -> String {
        containers.map { id($0) + "\n" }.joined()
    }

    func listing(_ containers: [ContainerSummary]) -> Listing {
        Listing(headers: Self.headers, rows: containers.map(row))
    }

    private func id(_ container: ContainerSummary) -> String {
        let id = container.Id ?? ""
        return truncates ? HumanText.shortID(id) : id
    }

    private func row(_ container: ContainerSummary) -> TemplateValue {
        let created = container.Created ?? 0
        let labels = container.Labels ?? [:]
        let mounts = (container.Mounts ?? []).map { $0.Name.flatMap { $0.isEmpty ? nil : $0 } ?? $0.Source ?? "" }
        let command = container.Command ?? ""
        let volumes = (container.Mounts ?? []).filter { $0.Driver == "local" }.count
        let cells: [(String, String)] = [
            ("Command", HumanText.quoted(truncates ? HumanText.ellipsis(command, 20) : command)),
            ("CreatedAt", isUsual ? "" : HumanText.timestamp(unixTime: created)), ("ID", id(container)), ("Image", image(container)),
            ("Labels", labels.map { "\($0.key)=\($0.value)" }.sorted().joined(separator: ",")),
            ("LocalVolumes", "\(volumes)"),
            ("Mounts", mounts.map { truncates ? HumanText.ellipsis($0, 15) : $0 }.joined(separator: ",")),
            ("Names", names(container)),
            ("Networks", (container.NetworkSettings?.Networks ?? [:]).keys.sorted().joined(separator: ",")),
            ("Ports", PortText.text(container.Ports ?? [])), ("RunningFor", HumanText.ago(unixTime: created)),
            ("Size", size(container)), ("State", container.State ?? ""), ("Status", container.Status ?? ""),
        ]
        let label = TemplateValue.function { arguments in .string(labels[arguments.first?.text ?? ""] ?? "") }
        return .object(cells.map { ($0.0, .string($0.1)) } + [("Label", label)])
    }

    /// As the status tells it: `Up 2 minutes (healthy)`.
    private static func health(_ container: ContainerSummary) -> String {
        let status = container.Status ?? ""
        return ["starting", "unhealthy", "healthy"].first { status.contains("(\($0))") || status.contains("(health: \($0))") } ?? ""
    }

    private func image(_ container: ContainerSummary) -> String {
        guard let image = container.Image, !image.isEmpty else { return "<no image>" }
        return truncates && image.hasPrefix("sha256:") ? HumanText.shortID(image) : image
    }

    /// Names without the slash; those of links only when nothing is shortened.
    private func names(_ container: ContainerSummary) -> String {
        let names = (container.Names ?? []).map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
        return (truncates ? names.filter { !$0.contains("/") } : names).joined(separator: ",")
    }

    private func size(_ container: ContainerSummary) -> String {
        let own = HumanText.size(container.SizeRw ?? 0, digits: 3)
        guard let root = container.SizeRootFs, root > 0 else { return own }
        return "\(own) (virtual \(HumanText.size(root, digits: 3)))"
    }
}

extension ContainerSummary {
    /// The members that `ps` shows.
    fileprivate init(_ value: JSONValue) {
        self.init()
        guard case .object(let members) = value else { return }
        for (name, value) in members {
            switch name {
            case "Id": Id = value.string
            case "Names": Names = value.array?.compactMap(\.string)
            case "Image": Image = value.string
            case "Command": Command = value.string
            case "Created": Created = value.integer
            case "Ports": Ports = value.array?.map { PortSummary($0) }
            case "SizeRw": SizeRw = value.integer
            case "SizeRootFs": SizeRootFs = value.integer
            case "Labels": Labels = Self.members(value).compactMapValues(\.string)
            case "State": State = value.string
            case "Status": Status = value.string
            case "NetworkSettings":
                var settings = ContainerSummary.NetworkSettings()
                settings.Networks = value["Networks"].map { Self.members($0).mapValues { _ in EndpointSettings() } }
                self.NetworkSettings = settings
            case "Mounts": Mounts = value.array?.map { MountPoint($0) }
            default: break
            }
        }
    }

    private static func members(_ value: JSONValue) -> [String: JSONValue] {
        guard case .object(let members) = value else { return [:] }
        return Dictionary(members, uniquingKeysWith: { $1 })
    }
}

extension PortSummary {
    fileprivate init(_ value: JSONValue) {
        self.init()
        IP = value["IP"]?.string
        PrivatePort = value["PrivatePort"]?.integer.flatMap { UInt16(exactly: $0) }
        PublicPort = value["PublicPort"]?.integer.flatMap { UInt16(exactly: $0) }
        `Type` = value["Type"]?.string
    }
}

extension MountPoint {
    fileprivate init(_ value: JSONValue) {
        self.init()
        (Name, Source, Driver) = (value["Name"]?.string, value["Source"]?.string, value["Driver"]?.string)
    }
}
