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
    /// The images that the archive describes; with a wish only those for that platform.
    func images(for platform: PlatformChoice?) throws -> [ArchivedImage] {
        // An archive of several platforms has the others in its index only.
        if hasDocument("index.json"), platform != nil || !hasDocument("manifest.json") { return try layoutImages(platform) }
        if hasDocument("manifest.json") { return try savedImages(platform) }
        throw ImageError.invalid("the archive has neither manifest.json nor index.json")
    }

    private func savedImages(_ platform: PlatformChoice?) throws -> [ArchivedImage] {
        let manifests = try decodeDocument([SavedManifest].self, from: document("manifest.json"), "manifest.json")
        return try manifests.map { manifest in
            let references = try (manifest.repoTags ?? []).map { try Reference($0) }
            return try image(configBytes: document(manifest.config), layerPaths: manifest.layers, references)
        }.filter { image in platform?.matches(image.config.platform) ?? true }
    }

    private func layoutImages(_ platform: PlatformChoice?) throws -> [ArchivedImage] {
        let index = try decodeDocument(Index.self, from: document("index.json"), "index.json")
        return try index.manifests.compactMap { descriptor in
            guard let manifest = try manifest(descriptor, platform, depth: 0) else { return nil }
            let config = try document(manifest.config)
            for layer in manifest.layers { try check(layer) }
            let found = try image(
                configBytes: config, layerPaths: manifest.layers.map { LayoutNames.path($0.digest) }, name(of: descriptor))
            return platform?.matches(found.config.platform) ?? true ? found : nil
        }
    }

    /// The manifest that a descriptor leads to, through an index perhaps; nil when there is none for the platform.
    private func manifest(_ descriptor: Descriptor, _ platform: PlatformChoice?, depth: Int) throws -> Manifest? {
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
        return try index.entry(for: platform).flatMap { try manifest($0, platform, depth: depth + 1) }
    }

    /// The name that a layout gives an image, in containerd's annotation or, as skopeo does, in the OCI one.
    func name(of descriptor: Descriptor) -> [Reference] {
        let full = descriptor.annotations?[LayoutNames.imageName]
        let short = descriptor.annotations?[LayoutNames.reference]
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
