import DockerAPI
import OCI

extension ImageSummary {
    /// The same as its `Encodable` form, a tenth of whose time it takes: there may be thousands in one answer.
    var json: JSONValue {
        var members: [(String, JSONValue)] = []
        func add(_ name: String, _ value: JSONValue?) { if let value { members.append((name, value)) } }
        add("Containers", Containers.map { .int($0) })
        add("Created", Created.map { .int($0) })
        add("Id", Id.map { .string($0) })
        add("Labels", Labels.map { labels in .object(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }) })
        add("ParentId", ParentId.map { .string($0) })
        add("RepoDigests", RepoDigests.map { .array($0.map { .string($0) }) })
        add("RepoTags", RepoTags.map { .array($0.map { .string($0) }) })
        add("SharedSize", SharedSize.map { .int($0) })
        add("Size", Size.map { .int($0) })
        return .object(members)
    }
}
