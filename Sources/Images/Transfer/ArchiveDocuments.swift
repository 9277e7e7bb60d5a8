import OCI

/// An entry of `manifest.json` in an archive of `docker save`.
struct SavedManifest: Codable {
    // swift-format-ignore: AlwaysUseLowerCamelCase
    enum CodingKeys: String, CodingKey {
        case config = "Config"
        case repoTags = "RepoTags"
        case layers = "Layers"
    }

    var config: String
    var repoTags: [String]?
    var layers: [String]
}

extension ArchiveParts {
    /// The images that the archive describes.
    func images() throws -> [ArchivedImage] {
        if hasDocument("manifest.json") { return try savedImages() }
        if hasDocument("index.json") { return try layoutImages() }
        throw ImageError.invalid("the archive has neither manifest.json nor index.json")
    }

    private func savedImages() throws -> [ArchivedImage] {
        let manifests = try decodeDocument([SavedManifest].self, from: document("manifest.json"), "manifest.json")
        return try manifests.map { manifest in
            let references = try (manifest.repoTags ?? []).map { try Reference($0) }
            return try image(configBytes: document(manifest.config), layerPaths: manifest.layers, references)
        }
    }

    private func layoutImages() throws -> [ArchivedImage] {
        let index = try decodeDocument(Index.self, from: document("index.json"), "index.json")
        return try index.manifests.compactMap { descriptor in
            guard let manifest = try manifest(descriptor, depth: 0) else { return nil }
            let config = try document(manifest.config)
            for layer in manifest.layers { try check(layer) }
            return try image(
                configBytes: config, layerPaths: manifest.layers.map { Self.path($0.digest) }, name(of: descriptor))
        }
    }

    /// The manifest for this machine that a descriptor leads to, through an index perhaps; nil when there is none.
    private func manifest(_ descriptor: Descriptor, depth: Int) throws -> Manifest? {
        if MediaType.isManifest(descriptor.mediaType) {
            let manifest = try decodeDocument(Manifest.self, from: document(descriptor), "manifest")
            guard manifest.mediaType == nil || manifest.mediaType == descriptor.mediaType else {
                throw ImageError.invalid("\(descriptor.digest) is \(manifest.mediaType ?? ""), not \(descriptor.mediaType)")
            }
            // Attestations and other artifacts stand among the images.
            return MediaType.isConfig(manifest.config.mediaType) ? manifest : nil
        }
        guard MediaType.isIndex(descriptor.mediaType) else { return nil }
        guard depth < 4 else { throw ImageError.invalid("indexes within indexes") }
        let index = try decodeDocument(Index.self, from: document(descriptor), "index")
        let host = Platform.host
        let fitting = index.manifests.first { entry in
            entry.platform.map { $0.os == host.os && $0.architecture == host.architecture } ?? false
        }
        let single = index.manifests.count == 1 ? index.manifests.first : nil
        return try (fitting ?? single).flatMap { try manifest($0, depth: depth + 1) }
    }

    /// The name that a layout gives an image, in containerd's annotation or, as skopeo does, in the OCI one.
    private func name(of descriptor: Descriptor) -> [Reference] {
        let full = descriptor.annotations?["io.containerd.image.name"]
        let short = descriptor.annotations?["org.opencontainers.image.ref.name"]
        // A mere tag names nothing by itself.
        let text = full ?? short.flatMap { $0.contains(":") || $0.contains("/") ? $0 : nil }
        // An annotation can say anything; without a valid name the image is loaded without one.
        return text.flatMap { try? Reference($0) }.map { [$0] } ?? []
    }

    private func image(configBytes: [UInt8], layerPaths: [String], _ references: [Reference]) throws -> ArchivedImage {
        let config = try decodeDocument(ImageConfig.self, from: configBytes, "image configuration")
        guard config.rootfs.type == "layers", config.rootfs.diffIDs.count == layerPaths.count else {
            throw ImageError.invalid("the archive has \(layerPaths.count) layers, the image \(config.rootfs.diffIDs.count)")
        }
        guard references.allSatisfy({ $0.digest == nil }) else {
            throw ImageError.invalid("an image cannot be loaded under a name with a digest")
        }
        return ArchivedImage(
            config: config, configBytes: configBytes, layerPaths: layerPaths,
            references: references.map { $0.withDefaultTag() })
    }
}
