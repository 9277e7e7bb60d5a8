import Archive
public import DockerAPI
import Images
import Linux
public import OCI

/// What `docker import` says about the new image.
public struct ImageImport: Sendable {
    public var repository = ""
    public var tag = ""
    public var message = ""
    /// Dockerfile instructions.
    public var changes: [String] = []

    public init() {}
}

/// What `skiff image bootstrap` asks for.
public struct ImageBootstrap: Sendable {
    /// `debian:bookworm`
    public var reference = ""
    public var variant: String?
    /// Further packages.
    public var include: [String] = []
    /// Where packages come from; nil is where the host's come from.
    public var mirror: String?
    /// The image trusts the certificate authorities that this host trusts.
    public var hostCertificates = false

    public init() {}
}

extension ContainerEngine {
    public typealias MessageSender = @Sendable (JSONMessage) async throws -> Void
}

extension ContainerEngine {
    /// `docker load`.
    public func loadImages(_ body: any UploadSource, platform: PlatformChoice?, send: @escaping MessageSender) async throws {
        let images = images
        let loaded = try await ByteBridge.upload(body, through: { try await images.load(from: $0, platform: platform) })
        for image in loaded {
            events.publish("image", "load", id: image.image.id.description, attributes: ["name": image.references.first?.familiarString ?? ""])
            var message = JSONMessage()
            message.stream = image.message + "\n"
            try await send(message)
        }
    }

    /// `docker save`. Unknown names fail before anything is sent.
    /// - Parameter attestations: true: it is an error when an image has none; false: neither these nor annotations are written; nil: what
    ///   there is
    public func saveImages(_ names: [String], platform: PlatformChoice?, attestations: Bool? = nil) async throws
        -> @Sendable (ByteSender) async throws -> Void
    {
        guard !names.isEmpty else { throw EngineError(.invalidArgument, "no images to save") }
        for name in names {
            let image = try await images.image(name)
            if let platform { try image.check(platform, name) }
            if attestations == true { _ = try await self.attestations(of: name) }
            events.publish("image", "save", id: image.id.description, attributes: ["name": name])
        }
        let images = images
        return { send in
            try await ByteBridge.download(
                through: { try await images.save(names, platform: platform, withAttachments: attestations != false, to: $0) }, to: send)
        }
    }

    /// `docker import` of a stream.
    public func importImage(_ body: any UploadSource, _ wanted: ImageImport, send: @escaping MessageSender) async throws {
        let reference = wanted.repository.isEmpty ? nil : try Self.reference(wanted.repository, tag: wanted.tag)
        let images = images
        let image = try await ByteBridge.upload(
            body,
            through: {
                try await images.importRootfs(
                    from: $0, reference: reference, changes: wanted.changes,
                    message: wanted.message.isEmpty ? "Imported from -" : wanted.message)
            })
        events.publish("image", "import", id: image.id.description)
        var message = JSONMessage()
        message.status = image.id.description
        try await send(message)
    }

    /// `docker diff`; nil, as Docker says it, when nothing changed.
    public func containerChanges(_ name: String) async throws -> [FilesystemChange]? {
        let container = try await registry.find(name)
        let changes = try await images.layers.changes(upper: container.paths.upper, layers: await container.layers)
        guard !changes.isEmpty else { return nil }
        return changes.map {
            var change = FilesystemChange()
            change.Path = $0.path
            change.Kind = $0.kind.rawValue
            return change
        }
    }
}

extension ContainerEngine {
    /// `skiff image bootstrap`: a base image from a distribution's packages.
    public func bootstrapImage(_ wanted: ImageBootstrap, send: @escaping MessageSender) async throws {
        let reference = try Self.reference(wanted.reference, tag: "")
        let request = BootstrapRequest(
            reference: reference, variant: wanted.variant ?? "minbase", include: wanted.include, mirror: wanted.mirror,
            hostCertificates: wanted.hostCertificates)
        let (lines, continuation) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1000))
        let images = images
        async let image = {
            defer { continuation.finish() }
            return try await images.bootstrap(request) { continuation.yield($0) }
        }()
        for await line in lines {
            var message = JSONMessage()
            message.status = line
            try await send(message)
        }
        let made = try await image
        events.publish("image", "create", id: made.id.description, attributes: ["name": reference.familiarString])
        try await send(JSONMessage { $0.ID = made.id.description })
    }
}
