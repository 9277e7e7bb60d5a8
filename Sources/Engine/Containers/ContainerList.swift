import Blocking
import DockerAPI
import Images
import Linux
import Networking
import OCI

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
    let images: ImageStore

    private static let known: Set<String> = [
        "ancestor", "before", "exited", "id", "label", "name", "network", "publish", "expose", "since", "status", "volume",
        "health", "is-task", "isolation",
    ]

    func run(all: Bool, limit: Int, size: Bool = false, filters: Filters) async throws -> [ContainerSummary] {
        try filters.check(Self.known)
        try Self.check(filters)
        let showsAll = all || limit > 0 || !filters["status"].isEmpty || !filters["exited"].isEmpty
        var rows: [(created: String, container: Container, summary: ContainerSummary)] = []
        let filter = ContainerFilter(
            filters: filters, ancestors: try await ancestors(filters), before: try await created(filters["before"]),
            since: try await created(filters["since"]), names: filters["name"].map(NamePattern.init))
        for container in await registry.all() {
            let (record, summary) = await (container.record, container.summary())
            guard showsAll || ["running", "paused", "restarting"].contains(summary.State ?? "") else { continue }
            if filter.matches(record, summary) { rows.append((record.created, container, summary)) }
        }
        rows.sort { $0.created > $1.created }
        if limit > 0 { rows = Array(rows.prefix(limit)) }
        guard size else { return rows.map(\.summary) }
        var sized: [ContainerSummary] = []
        for row in rows {
            var summary = row.summary
            (summary.SizeRw, summary.SizeRootFs) = try await row.container.sizes()
            sized.append(summary)
        }
        return sized
    }

    /// The same without limit, sizes and filters.
    func json(all: Bool) async throws -> [UInt8] {
        var rows: [(row: ListedContainer, status: String)] = []
        for container in await registry.all() {
            let listing = try await container.listing()
            if all || listing.row.isShown { rows.append(listing) }
        }
        rows.sort { $0.row.created > $1.row.created }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(rows.count * 768 + 2)
        bytes.append(UInt8(ascii: "["))
        for (index, listing) in rows.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            listing.row.write(to: &bytes, status: listing.status)
        }
        bytes += Array("]\n".utf8)
        return bytes
    }

    private static func check(_ filters: Filters) throws(EngineError) {
        let states = ["created", "running", "paused", "restarting", "removing", "exited", "dead"]
        for status in filters["status"] where !states.contains(status) {
            throw EngineError(
                .invalidArgument,
                "invalid filter 'status=\(status)': invalid value for state (\(status)): must be one of \(states.joined(separator: ", "))")
        }
        let healths = ["starting", "healthy", "unhealthy", "none"]
        for health in filters["health"] where !healths.contains(health) {
            throw EngineError(
                .invalidArgument,
                "invalid filter 'health=\(health)': invalid value for health (\(health)): must be one of \(healths.joined(separator: ", "))")
        }
        for code in filters["exited"] where Int(code) == nil {
            throw EngineError(.invalidArgument, "invalid filter 'exited=\(code)'")
        }
        for value in filters["is-task"] where !["true", "false", "1", "0"].contains(value.lowercased()) {
            throw EngineError(.invalidArgument, "invalid filter 'is-task=[\(value)]'")
        }
        for port in filters["publish"] + filters["expose"] where PortRange(port) == nil {
            throw EngineError(.invalidArgument, "invalid containerPort: \(port)")
        }
    }

    /// When the container of the filter was made; nil without the filter.
    private func created(_ names: [String]) async throws -> String? {
        guard let name = names.last else { return nil }
        return await (try registry.find(name)).record.created
    }

    /// The images of the filter with their layers: what is built on one has the same layers first. An unknown one matches nothing.
    private func ancestors(_ filters: Filters) async throws -> [ContainerFilter.Ancestor] {
        var found: [ContainerFilter.Ancestor] = []
        for name in filters["ancestor"] {
            do {
                let image = try await images.image(name)
                found.append(ContainerFilter.Ancestor(id: image.id.description, layers: image.layers.map(\.description)))
            } catch is ImageError {
                continue
            }
        }
        return found
    }
}

/// What the filters of a list say about one container.
private struct ContainerFilter {
    struct Ancestor {
        let id: String
        let layers: [String]

        func isBelow(_ record: ContainerRecord) -> Bool {
            record.imageID == id || !layers.isEmpty && layers.count < record.layers.count && record.layers.starts(with: layers)
        }
    }

    let filters: Filters
    let ancestors: [Ancestor]
    let before: String?
    let since: String?
    let names: [NamePattern]

    func matches(_ record: ContainerRecord, _ summary: ContainerSummary) -> Bool {
        if let before, record.created >= before { return false }
        if let since, record.created <= since { return false }
        return matchesIdentity(record) && matchesState(record, summary) && matchesSurroundings(record, summary)
    }

    private func matchesIdentity(_ record: ContainerRecord) -> Bool {
        filters.any("id") { record.id.hasPrefix($0) }
            && (names.isEmpty || names.contains { $0.matches(record.name) })
            && (filters["ancestor"].isEmpty || ancestors.contains { $0.isBelow(record) })
            && filters.matches(labels: record.config.Labels ?? [:])
    }

    private func matchesState(_ record: ContainerRecord, _ summary: ContainerSummary) -> Bool {
        filters.any("status") { $0 == summary.State }
            && filters.any("exited") { $0 == "\(record.state.exitCode)" && record.state.status == .exited }
            && filters.any("health") { $0 == record.state.health?.status.rawValue ?? "none" }
            // Nothing here belongs to a swarm, and Linux has one kind of isolation.
            && filters.any("is-task") { ["false", "0"].contains($0.lowercased()) } && filters.any("isolation") { ["", "default"].contains($0) }
    }

    private func matchesSurroundings(_ record: ContainerRecord, _ summary: ContainerSummary) -> Bool {
        filters.any("network") { network in
            network == record.hostConfig.NetworkMode
                || record.attachments.contains { $0.networkName == network || $0.networkID.hasPrefix(network) }
        }
            && filters.any("volume") { volume in
                record.mounts.contains { $0.name == volume || $0.destination == volume || $0.source == volume }
            }
            && filters.any("publish") { wanted in
                (summary.Ports ?? []).contains { PortRange(wanted)?.contains($0.PublicPort, $0.`Type`) == true }
            }
            && filters.any("expose") { wanted in
                record.exposedPorts.contains { PortRange(wanted)?.contains($0.port, $0.proto) == true }
            }
    }
}

/// `80`, `8000-8010/udp`
struct PortRange: Equatable {
    let ports: ClosedRange<UInt16>
    let proto: String

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let numbers = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard parts.count <= 2, (1...2).contains(numbers.count), let first = numbers[0], let last = numbers[numbers.count - 1], first <= last
        else { return nil }
        ports = first...last
        proto = parts.count == 2 ? parts[1].lowercased() : "tcp"
    }

    func contains(_ port: UInt16?, _ proto: String?) -> Bool {
        port.map { ports.contains($0) } == true && proto == self.proto
    }
}

/// `name=`: a regular expression, as with Docker, or a part of the name where it is none.
struct NamePattern {
    private let text: String
    private let expression: BoundedPattern?

    init(_ text: String) {
        // A slash in front is that of Docker's own names.
        self.text = text.hasPrefix("/") ? String(text.dropFirst()) : text.hasPrefix("^/") ? "^" + text.dropFirst(2) : text
        let plain = self.text.utf8.allSatisfy { VolumeStore.isNameByte($0) && $0 != 46 }
        // What is no expression is looked for as it stands.
        expression = plain ? nil : BoundedPattern(self.text)
    }

    func matches(_ name: String) -> Bool {
        guard let expression else { return name.contains(text) }
        return expression.matches(name)
    }
}

extension ContainerRecord {
    /// Those of the image and of the request, published or not.
    fileprivate var exposedPorts: [(port: UInt16, proto: String)] {
        let keys = Set((config.ExposedPorts ?? [:]).keys).union((hostConfig.PortBindings ?? [:]).keys)
        return PortRanges.unfolded(keys).compactMap { key in
            // An odd EXPOSE of an image is no port.
            (try? PortBindings.parse(key)).map { ($0.0, $0.1.rawValue) }
        }
    }
}

extension Container {
    /// What the container's own layer takes on disk, and that with the layers of its image.
    func sizes() async throws -> (own: Int64, all: Int64) {
        let upper = paths.upper
        let own = try await blocking { try allocatedBytes(of: upper) }
        var all = own
        for layer in Set(try layers) { all += try await context.images.layers.size(layer) ?? 0 }
        return (own, all)
    }
}
