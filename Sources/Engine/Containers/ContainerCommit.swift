import DockerAPI
import Images
import Linux
import OCI

/// What `docker commit` asks for.
public struct CommitRequest: Sendable {
    public var repository = ""
    public var tag = ""
    public var comment = ""
    public var author = ""
    /// The container stands still while its files are copied.
    public var pauses = true
    /// Dockerfile instructions.
    public var changes: [String] = []

    public init() {}
}

extension ContainerEngine {
    /// `docker commit`: an image of a container's layers and of what it changed. Volumes are not part of it.
    public func commitContainer(_ name: String, _ request: CommitRequest) async throws -> String {
        let container = try await registry.find(name)
        let reference = request.repository.isEmpty ? nil : try Self.reference(request.repository, tag: request.tag)
        let record = await container.record
        var config = try await images.image(record.imageID).config
        var settings = ImageConfig.Config(record.config)
        try settings.apply(changes: request.changes)
        let now = Timestamp.now().description
        config.config = settings
        config.created = now
        if !request.author.isEmpty { config.author = request.author }
        config.history =
            (config.history ?? []) + [
                ImageConfig.History(
                    created: now, createdBy: ([record.path] + record.args).joined(separator: " "),
                    author: request.author.isEmpty ? nil : request.author, comment: request.comment.isEmpty ? nil : request.comment)
            ]
        let layer = try await copyChanges(of: container, paused: request.pauses)
        let layers = try await container.layers
        let image = try await images.layers.holding([layer]) { [config] in
            var config = config
            config.rootfs.diffIDs = layers + [layer]
            return try await images.create(config: config, references: reference.map { [$0] } ?? [])
        }
        await container.publish("commit", ["comment": request.comment])
        return image.id.description
    }

    private func copyChanges(of container: Container, paused: Bool) async throws -> Digest {
        let phase = await container.phase
        let stops = paused && phase.process != nil && !phase.isPaused
        guard stops else { return try await images.layers.commit(copyOf: container.paths.upper) }
        try await container.pause()
        let layer: Digest
        do {
            layer = try await images.layers.commit(copyOf: container.paths.upper)
        } catch {
            // The failed copy is what to tell; a container that was removed meanwhile needs no thaw.
            try? await container.unpause()
            throw error
        }
        try await container.unpause()
        return layer
    }
}

extension ImageConfig.Config {
    /// The part of a container's settings that an image keeps.
    init(_ config: ContainerConfig) {
        self.init()
        user = config.User
        exposedPorts = config.ExposedPorts.map { Set(PortRanges.unfolded($0.keys)) }
        env = config.Env
        entrypoint = config.Entrypoint?.values
        cmd = config.Cmd?.values
        volumes = config.Volumes.map { Set($0.keys) }
        workingDir = config.WorkingDir
        labels = config.Labels
        stopSignal = config.StopSignal
        shell = config.Shell?.values
    }
}
