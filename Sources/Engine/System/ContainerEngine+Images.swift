import Builder
public import DockerAPI
import Images
import Linux
public import OCI

extension ContainerEngine {
    private static let imageFilters: Set<String> = ["dangling", "label", "label!", "before", "since", "reference", "until"]

    public func listImages(all: Bool, filters: Filters) async throws -> [ImageSummary] {
        try filters.check(Self.imageFilters)
        let until = try filters.until()
        let images = try await images.list()
        var bounds: (before: String?, since: String?) = (nil, nil)
        for name in filters["before"] { bounds.before = try await self.images.image(name).created }
        for name in filters["since"] { bounds.since = try await self.images.image(name).created }
        return images.filter { image in
            let created = image.created ?? ""
            return filters.any("dangling") { ["true", "1"].contains($0) == image.references.isEmpty }
                && filters.any("reference") { pattern in image.references.contains { ReferencePattern.matches(pattern, $0) } }
                && filters.matches(labels: image.labels) && !filters.excludes(labels: image.labels)
                && image.isCreated(before: until)
                && bounds.before.map { created < $0 } ?? true && bounds.since.map { created > $0 } ?? true
        }.map { image in
            // Who asks for names sees those, not the image's others.
            Self.summary(image, names: image.references.filter { name in filters.any("reference") { ReferencePattern.matches($0, name) } })
        }
    }

    static func summary(_ image: Image) -> ImageSummary { summary(image, names: image.references) }

    private static func summary(_ image: Image, names: [Reference]) -> ImageSummary {
        var summary = ImageSummary()
        summary.Id = image.id.description
        summary.ParentId = ""
        summary.RepoTags = names.filter { $0.tag != nil }.map(\.familiarString)
        summary.RepoDigests = names.filter { $0.digest != nil }.map(\.familiarString)
        summary.Created = image.created.flatMap { Timestamp(rfc3339: $0) }?.seconds ?? 0
        summary.Size = image.size
        summary.SharedSize = -1
        summary.Labels = image.labels
        summary.Containers = -1
        return summary
    }

    public func inspectImage(_ name: String, platform: PlatformChoice? = nil) async throws -> ImageInspect {
        let image = try await images.image(name)
        if let platform { try image.check(platform, name) }
        var inspect = ImageInspect()
        inspect.Id = image.id.description
        // A layer that cannot be read is told by whoever reads it.
        inspect.Descriptor = try? await images.descriptor(name).map { OCIDescriptor($0) }
        inspect.RepoTags = image.references.filter { $0.tag != nil }.map(\.familiarString)
        inspect.RepoDigests = image.references.filter { $0.digest != nil }.map(\.familiarString)
        inspect.Parent = ""
        inspect.Comment = image.config.history?.last?.comment ?? ""
        inspect.Created = image.created ?? ""
        inspect.DockerVersion = ""
        inspect.Author = image.config.author ?? ""
        inspect.Architecture = image.config.architecture
        inspect.Variant = image.config.variant
        inspect.Os = image.config.os
        inspect.Size = image.size
        var root = ImageInspect.RootFS()
        root.`Type` = "layers"
        root.Layers = image.layers.map(\.description)
        inspect.RootFS = root
        var driver = DriverData()
        driver.Name = "overlayfs"
        driver.Data = [:]
        inspect.GraphDriver = driver
        var metadata = ImageInspect.Metadata()
        metadata.LastUsedTime = image.lastUsed
        inspect.Metadata = metadata
        inspect.Config = ImageConfigResponse(image.config.config ?? ImageConfig.Config())
        return inspect
    }

    /// Newest first. The image's id stands at the top; the steps below have none, as with Docker's pulled images.
    public func imageHistory(_ name: String) async throws -> [HistoryResponseItem] {
        let image = try await images.image(name)
        var items: [HistoryResponseItem] = []
        var layers = image.layers[...]
        let recorded = image.config.history ?? layers.map { _ in ImageConfig.History() }
        for entry in recorded {
            var item = HistoryResponseItem()
            item.Id = "<missing>"
            item.Created = entry.created.flatMap { Timestamp(rfc3339: $0) }?.seconds ?? 0
            item.CreatedBy = entry.createdBy ?? ""
            item.Comment = entry.comment ?? ""
            item.Size = 0
            if entry.emptyLayer != true, let layer = layers.popFirst() { item.Size = try await images.layers.size(layer) ?? 0 }
            items.append(item)
        }
        items.reverse()
        if !items.isEmpty {
            items[0].Id = image.id.description
            items[0].Tags = image.references.filter { $0.tag != nil }.map(\.familiarString)
        }
        return items
    }

    public func tagImage(_ name: String, repository: String, tag: String) async throws {
        // Whether there is such an image is told first.
        _ = try await images.image(name)
        let reference = try Self.reference(repository, tag: tag)
        let image = try await images.tag(name, reference)
        events.publish("image", "tag", id: image.id.description, attributes: ["name": reference.familiarString])
    }

    static func reference(_ repository: String, tag: String) throws(EngineError) -> Reference {
        do {
            let reference = try Reference(tag.isEmpty ? repository : "\(repository):\(tag)")
            guard reference.digest == nil else {
                throw EngineError(.invalidArgument, "refusing to create a tag with a digest reference")
            }
            return reference.withDefaultTag()
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.invalidArgument, "\(error)")
        }
    }

    /// - Parameter onlyUnnamed: leaves an image alone that has a name.
    public func removeImage(_ name: String, force: Bool, noPrune: Bool, onlyUnnamed: Bool) async throws -> [ImageDeleteResponseItem] {
        let removed = try await images.remove(
            name, force: force, noPrune: noPrune, onlyUnnamed: onlyUnnamed, usedBy: containersUsing)
        return publish(removed.items)
    }

    var containersUsing: @Sendable (Digest) async -> [String] {
        { [registry] image in
            var users: [String] = []
            for container in await registry.all() where await container.record.images.contains(image.description) {
                users.append(container.id)
            }
            return users
        }
    }

    private func publish(_ removed: [RemovedImage]) -> [ImageDeleteResponseItem] {
        removed.map { removed in
            var item = ImageDeleteResponseItem()
            switch removed {
            case .untagged(let name):
                item.Untagged = name
                events.publish("image", "untag", id: name, attributes: ["name": name])
            case .deleted(let id):
                item.Deleted = id
                events.publish("image", "delete", id: id, attributes: ["name": id])
            }
            return item
        }
    }

    /// Images without a name that no container uses; with `dangling=false` those with names as well.
    public func pruneImages(_ filters: Filters) async throws -> ImagesPruneResponse {
        try filters.check(["dangling", "until", "label", "label!"])
        let all = filters["dangling"].contains { ["false", "0"].contains($0) }
        let before = try filters.until()
        let removed = try await images.prune(
            all: all,
            where: { image in
                let labels = image.config.config?.labels ?? [:]
                return filters.matches(labels: labels) && !filters.excludes(labels: labels) && image.isCreated(before: before)
            }, usedBy: containersUsing)
        var response = ImagesPruneResponse()
        response.ImagesDeleted = publish(removed.items)
        response.SpaceReclaimed = removed.bytes
        events.publish("image", "prune", id: "", attributes: ["reclaimed": "\(removed.bytes)"])
        return response
    }
}

extension OCIDescriptor {
    init(_ descriptor: Descriptor) {
        self.init()
        mediaType = descriptor.mediaType
        digest = descriptor.digest.description
        size = descriptor.size
        annotations = descriptor.annotations
    }
}

extension Image {
    /// Always when there is no bound. An image without a date counts as old.
    func isCreated(before bound: Timestamp?) -> Bool {
        guard let bound else { return true }
        return (created.flatMap { Timestamp(rfc3339: $0) }?.unixNanoseconds ?? 0) < bound.unixNanoseconds
    }
}

/// `reference=` of an image list: a shell pattern against the familiar name, with or without its tag.
enum ReferencePattern {
    static func matches(_ pattern: String, _ reference: Reference) -> Bool {
        glob(Array(pattern.utf8)[...], Array(reference.familiarString.utf8)[...])
            || glob(Array(pattern.utf8)[...], Array(reference.familiarName.utf8)[...])
    }

    private static func glob(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        switch first {
        case UInt8(ascii: "*"):
            let rest = pattern.dropFirst()
            // A star stays inside one path component.
            var tail = text
            while true {
                if glob(rest, tail) { return true }
                guard let next = tail.first, next != UInt8(ascii: "/") else { return false }
                tail = tail.dropFirst()
            }
        case UInt8(ascii: "?"): return text.first.map { $0 != UInt8(ascii: "/") } == true && glob(pattern.dropFirst(), text.dropFirst())
        default: return text.first == first && glob(pattern.dropFirst(), text.dropFirst())
        }
    }
}

extension ImageConfigResponse {
    init(_ config: ImageConfig.Config) {
        self.init()
        User = config.user ?? ""
        ExposedPorts = config.exposedPorts.map { ports in Dictionary(uniqueKeysWithValues: ports.map { ($0, EmptyObject()) }) }
        Env = config.env
        Cmd = config.cmd.map { StrSlice($0) }
        Healthcheck = config.healthcheck.map { HealthConfig($0) }
        Volumes = config.volumes.map { volumes in Dictionary(uniqueKeysWithValues: volumes.map { ($0, EmptyObject()) }) }
        WorkingDir = config.workingDir ?? ""
        Entrypoint = config.entrypoint.map { StrSlice($0) }
        OnBuild = config.onBuild
        Labels = config.labels
        StopSignal = config.stopSignal
        Shell = config.shell.map { StrSlice($0) }
    }
}
