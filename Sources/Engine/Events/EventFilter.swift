public import DockerAPI

/// The `filters` of `docker events`.
public struct EventFilter: Sendable {
    private let filters: Filters

    public init(_ filters: Filters) throws {
        try filters.check([
            "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
            "service", "type", "volume",
        ])
        self.filters = filters
    }

    public func matches(_ event: EventMessage) -> Bool {
        let attributes = event.Actor?.Attributes ?? [:]
        let id = event.Actor?.ID ?? ""
        return filters.any("type") { $0 == event.`Type` }
            && filters.any("event") { event.Action == $0 || (event.Action ?? "").hasPrefix("\($0):") }
            && filters.any("scope") { $0 == "local" }
            && filters.any("container") { event.`Type` == "container" && (id.hasPrefix($0) || attributes["name"] == $0) }
            && filters.any("image") { image in
                event.`Type` == "image" ? id == image || attributes["name"] == image : attributes["image"] == image
            }
            && filters.any("volume") { event.`Type` == "volume" && id == $0 }
            && filters.any("network") { event.`Type` == "network" && (id == $0 || attributes["name"] == $0) }
            && ["config", "daemon", "node", "plugin", "secret", "service"].allSatisfy { filters[$0].isEmpty }
            && filters.matches(labels: attributes)
    }
}
