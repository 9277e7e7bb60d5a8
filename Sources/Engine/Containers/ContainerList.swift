import DockerAPI
import Linux

/// The `filters` of a request: for each key the values, any of which may hold.
public struct Filters: Sendable {
    private let values: [String: [String]]

    public init(_ values: [String: [String]] = [:]) {
        self.values = values
    }

    public subscript(_ key: String) -> [String] { values[key] ?? [] }

    public var keys: [String] { values.keys.sorted() }

    /// Refuses keys that the list does not know.
    public func check(_ known: Set<String>) throws(EngineError) {
        for key in keys where !known.contains(key) {
            throw EngineError(.invalidArgument, "invalid filter '\(key)'")
        }
    }

    /// Whether one of the key's values holds; true when there is none.
    func any(_ key: String, _ holds: (String) -> Bool) -> Bool {
        self[key].isEmpty || self[key].contains(where: holds)
    }

    /// `label=key` and `label=key=value`; all of them have to hold.
    func matches(labels: [String: String]) -> Bool {
        self["label"].allSatisfy { wanted in
            guard let equals = wanted.firstIndex(of: "=") else { return labels[wanted] != nil }
            return labels[String(wanted[..<equals])] == String(wanted[wanted.index(after: equals)...])
        }
    }
}

/// `docker ps`.
struct ContainerList {
    let registry: ContainerRegistry

    private static let known: Set<String> = [
        "ancestor", "before", "exited", "id", "label", "name", "network", "publish", "expose", "since", "status", "volume",
        "health", "is-task", "isolation",
    ]

    func run(all: Bool, limit: Int, filters: Filters) async throws -> [ContainerSummary] {
        try filters.check(Self.known)
        for status in filters["status"]
        where !["created", "restarting", "running", "removing", "paused", "exited", "dead"].contains(status) {
            throw EngineError(
                .invalidArgument,
                "invalid filter 'status=\(status)': invalid value for state (\(status)): must be one of created, running, paused, restarting, removing, exited, dead"
            )
        }
        let showsAll = all || limit > 0 || !filters["status"].isEmpty || !filters["exited"].isEmpty
        var rows: [(created: String, summary: ContainerSummary)] = []
        let bounds = try await bounds(filters)
        for container in await registry.all() {
            let (record, summary) = await (container.record, container.summary())
            guard showsAll || ["running", "paused", "restarting"].contains(summary.State ?? "") else { continue }
            guard Self.matches(record, summary, filters) else { continue }
            if let before = bounds.before, record.created >= before { continue }
            if let since = bounds.since, record.created <= since { continue }
            rows.append((record.created, summary))
        }
        rows.sort { $0.created > $1.created }
        return (limit > 0 ? Array(rows.prefix(limit)) : rows).map(\.summary)
    }

    private func bounds(_ filters: Filters) async throws -> (before: String?, since: String?) {
        var before: String?
        var since: String?
        for name in filters["before"] { before = await (try registry.find(name)).record.created }
        for name in filters["since"] { since = await (try registry.find(name)).record.created }
        return (before, since)
    }

    private static func matches(_ record: ContainerRecord, _ summary: ContainerSummary, _ filters: Filters) -> Bool {
        filters.any("id") { record.id.hasPrefix($0) }
            && filters.any("name") { record.name.contains($0.hasPrefix("/") ? String($0.dropFirst()) : $0) }
            && filters.any("status") { $0 == summary.State }
            && filters.any("exited") { $0 == "\(record.state.exitCode)" && record.state.status == .exited }
            && filters.any("health") { $0 == record.state.health?.status.rawValue ?? "none" }
            && filters.any("network") { $0 == record.hostConfig.NetworkMode }
            && filters.any("ancestor") { ancestor in
                record.config.Image == ancestor || record.config.Image == "\(ancestor):latest"
                    || record.imageID == ancestor || record.imageID.dropFirst(7).hasPrefix(ancestor)
            }
            && filters.any("volume") { volume in
                record.mounts.contains { $0.name == volume || $0.destination == volume || $0.source == volume }
            }
            && filters.any("publish") { wanted in
                (summary.Ports ?? []).contains { $0.PublicPort.map { "\($0)" } == wanted.split(separator: "/").first.map(String.init) }
            }
            && filters.any("expose") { wanted in
                (summary.Ports ?? []).contains { $0.PrivatePort.map { "\($0)" } == wanted.split(separator: "/").first.map(String.init) }
            }
            && filters.matches(labels: record.config.Labels ?? [:])
    }
}
