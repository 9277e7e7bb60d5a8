import Blocking
import FoundationEssentials
import Linux
import Logging
public import OCI
public import Registry
import Store
import SystemPackage

/// What came with a pull.
public struct PulledImage: Sendable, Equatable {
    public let image: Image
    /// Of what the name stands for at the registry: a manifest, or an index of several.
    public let digest: Digest
    /// The name meant another image before, or none.
    public let isNew: Bool
}

/// Hears of each layer, by the digest of its blob (pull) or its diff id (push). Called from any thread; must not wait.
public typealias TransferProgress = @Sendable (Digest, TransferStep) -> Void

extension ImageStore {
    /// `docker pull` of one name: the manifest, the image for the platform if it is an index, its configuration and those
    /// layers that are not in the store, several at a time. The mirrors of the registry are asked first.
    ///
    /// A pull that breaks off leaves what it has, and the next one goes on from there. `found` is called with the digests of
    /// the layers' blobs before the first transfer.
    public func pull(
        _ reference: Reference, from registries: Registries, _ credentials: RegistryCredentials, platform: Platform? = nil,
        progress: @escaping TransferProgress, found: @escaping @Sendable ([Digest]) -> Void = { _ in }
    ) async throws -> PulledImage {
        let reference = reference.withDefaultTag()
        let all = try await blocking { try registries.sources(of: reference, credentials) }
        let sources = all.filter(\.gives)
        guard let last = sources.last else {
            throw RegistryError(.refused, "no host may be asked for content of \(reference.domain), as its hosts.toml says")
        }
        // Who only gives content is not asked what a tag means.
        let needsDigest = reference.digest == nil && sources.contains { !$0.resolves }
        let digest = needsDigest ? try await resolve(reference, at: all.filter(\.resolves)) : nil
        func pull(from source: RepositorySource) async throws -> PulledImage {
            try await ImagePull(
                images: self, reference: reference, digest: digest, repository: try await source.connect(for: .pull),
                domain: source.isMirror ? "mirror:\(source.host)" : reference.domain, configuration: registries.configuration,
                platform: platform, progress: progress, found: found
            ).run()
        }
        for source in sources.dropLast() {
            do {
                return try await pull(from: source)
            } catch let error as RegistryError {
                tellNext(after: source, error)
            }
        }
        return try await pull(from: last)
    }

    /// What a tag means, as the first says who answers.
    private func resolve(_ reference: Reference, at sources: [RepositorySource]) async throws -> Digest {
        var failure: any Error = RegistryError(
            .refused, "no host may be asked for the tags of \(reference.domain), as its hosts.toml says")
        for source in sources {
            do {
                return try await source.connect(for: .pull).manifest(ManifestName(reference)).digest
            } catch let error as RegistryError {
                failure = error
                tellNext(after: source, error)
            }
        }
        throw failure
    }

    private func tellNext(after source: RepositorySource, _ error: RegistryError) {
        logger.warning("mirror cannot be used, asking the next", metadata: ["mirror": "\(source.host)", "error": "\(error)"])
    }

    /// Forgets what broken-off pulls have left for their continuation, except those that are under way.
    public func discardUnfinishedPulls() async throws {
        try await blocking {
            let layers = try self.transfers.stopKeeping(before: nil)
            try sweepDownloads(self.downloads, olderThan: 0, except: self.underWay, self.logger)
            _ = try self.layers.removeUnusedNow(among: layers)
        }
    }

    /// A layer that is in the store may have something left in `downloads/`: the engine was killed just then.
    fileprivate func forgetDownload(of blob: Digest) async throws {
        guard !underWay.contains(blob) else { return }
        try await blocking { try removeDownload(of: blob, in: self.downloads) }
    }
}

/// One pull from one place.
private struct ImagePull: Sendable {
    let images: ImageStore
    let reference: Reference
    /// What the tag means, if somebody else was asked.
    let digest: Digest?
    let repository: RepositoryClient
    let domain: String
    let configuration: RegistryConfiguration
    let platform: Platform?
    let progress: TransferProgress
    let found: @Sendable ([Digest]) -> Void

    private static let configBytes = 8 << 20

    func run() async throws -> PulledImage {
        let top = try await repository.manifest(digest.map { .digest($0) } ?? ManifestName(reference))
        let chosen = try await choose(top)
        let manifest = chosen.manifest
        guard MediaType.isConfig(manifest.config.mediaType) else {
            throw RegistryError(.unsupported, "unsupported media type: \(manifest.config.mediaType.prefix(200)) is no configuration of an image")
        }
        let configBytes = try await repository.blob(manifest.config, limit: Self.configBytes)
        let config = try decodeDocument(ImageConfig.self, from: configBytes, "image configuration")
        try check(config, manifest)
        let diffIDs = config.rootfs.diffIDs
        found(manifest.layers.map(\.digest))
        do {
            let image = try await images.layers.holding(diffIDs) {
                try await fetchLayers(manifest.layers, diffIDs)
                return try await add(configBytes, chosen.fetched, top.digest, try await attachments(chosen, top.digest))
            }
            return PulledImage(image: image.image, digest: top.digest, isNew: image.isNew)
        } catch let error as SystemError where error.errno == .noSpace {
            try await giveRoom(manifest.layers, diffIDs)
            throw error
        }
    }

    /// A disk that the pull itself has filled is given back. When others have filled it, what little the pull has would make
    /// no room, but would have to come again.
    private func giveRoom(_ layers: [Descriptor], _ diffIDs: [Digest]) async throws {
        let images = images
        let isCulprit = try await blocking {
            let halves = try layers.reduce(Int64(0)) { sum, layer in
                let blob = try lstatIfExists(images.downloads.appending(layer.digest.hex))?.allocatedBytes ?? 0
                return try sum + blob + ReadyLayer.allocatedBytes(of: layer.digest, in: images.downloads)
            }
            let whole = try diffIDs.reduce(Int64(0)) { sum, layer in try sum + (images.layers.records.size(layer) ?? 0) }
            return try halves + whole >= Int64(FilesystemSpace(at: images.downloads).totalBytes) / 4
        }
        guard isCulprit else { return }
        try await blocking {
            for layer in layers { try removeDownload(of: layer.digest, in: images.downloads) }
            try images.transfers.stopKeeping(diffIDs)
        }
        try await images.layers.removeUnused(among: diffIDs)
    }

    private struct Chosen {
        var fetched: FetchedManifest
        var manifest: Manifest
        /// The index that names it, and where.
        var index: (document: Index, entry: Descriptor)?
    }

    /// What the index says of the image beside it. Whatever is wrong with that, the image itself is whole.
    private func attachments(_ chosen: Chosen, _ digest: Digest) async throws -> ImageAttachments? {
        guard let index = chosen.index, !index.document.attestations(of: index.entry.digest).isEmpty else { return nil }
        do {
            let (images, name, id) = (images, "\(reference.with(digest))", chosen.manifest.config.digest)
            // The index that came before says the same, unless that was for another of its images.
            let earlier = try await blocking {
                // Where there is none, or it cannot be read, the registry says it again.
                guard let found = try? images.find(name), found.image.id == id else { return nil as ImageAttachments? }
                return try images.attachments(of: found)
            }
            if let earlier { return earlier }
            let found = try await AttachmentFetch(repository: repository, logger: images.logger).run(index.document, index.entry, chosen.manifest)
            _ = try found?.document()
            return found
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            images.logger.warning(
                "attestations cannot be pulled", metadata: ["image": "\(reference.familiarString)", "error": "\(error)"])
            return nil
        }
    }

    /// The manifest itself, or that of an index which fits the machine or what was asked for.
    private func choose(_ top: FetchedManifest) async throws -> Chosen {
        var fetched = top
        var place: (document: Index, entry: Descriptor)?
        for _ in 0..<4 {
            switch fetched.document {
            case .manifest(let manifest): return Chosen(fetched: fetched, manifest: manifest, index: place)
            case .index(let index):
                let wanted = platform ?? .host
                guard let entry = index.entry(for: wanted) else {
                    throw ImageError.noMatch(
                        "no matching manifest for \(wanted) in the manifest list entries")
                }
                fetched = try await repository.manifest(.digest(entry.digest), expected: entry)
                place = (index, entry)
            }
        }
        throw RegistryError(.invalidReply, "invalid manifest: indexes within indexes")
    }

    private func check(_ config: ImageConfig, _ manifest: Manifest) throws {
        guard config.os == Platform.host.os else {
            throw RegistryError(.unsupported, "image operating system \"\(config.os.prefix(40))\" cannot be used on this platform")
        }
        if let platform, platform.architecture != config.architecture {
            throw ImageError.noMatch(
                "image with reference \(reference.familiarString) was found but does not match the specified platform: "
                    + "wanted \(platform), actual: \(config.platform)")
        }
        guard config.rootfs.type == "layers", config.rootfs.diffIDs.count == manifest.layers.count else {
            throw RegistryError(.invalidReply, "layers from manifest don't match image configuration")
        }
        var contents: [Digest: Digest] = [:]
        for (layer, content) in zip(manifest.layers, config.rootfs.diffIDs) {
            guard contents.updateValue(content, forKey: layer.digest) ?? content == content else {
                throw RegistryError(.invalidReply, "invalid manifest: layer \(layer.digest) is said to have two contents")
            }
            guard (0...PartialBlob.largest).contains(layer.size) else {
                throw RegistryError(.invalidReply, "invalid manifest: layer \(layer.digest) has \(layer.size) bytes")
            }
            guard LayerMediaType.isKnown(layer.mediaType) else {
                throw RegistryError(.unsupported, "unsupported media type \(layer.mediaType.prefix(200)) of a layer")
            }
            guard layer.digest.algorithm == .sha256 else {
                throw RegistryError(.unsupported, "unsupported digest algorithm of layer \(layer.digest)")
            }
        }
        guard config.rootfs.diffIDs.allSatisfy({ $0.algorithm == .sha256 }) else {
            throw RegistryError(.unsupported, "unsupported digest algorithm of a diff id")
        }
    }

    private func fetchLayers(_ layers: [Descriptor], _ diffIDs: [Digest]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var seen: Set<Digest> = []
            for (layer, diffID) in zip(layers, diffIDs) {
                if try await images.layers.exists(diffID) {
                    try await images.forgetDownload(of: layer.digest)
                    progress(layer.digest, .alreadyExists)
                    continue
                }
                guard seen.insert(diffID).inserted else { continue }
                progress(layer.digest, .waiting)
                group.addTask { try await fetch(layer, diffID) }
            }
            try await group.waitForAll()
        }
    }

    private func fetch(_ layer: Descriptor, _ diffID: Digest) async throws {
        let progress = progress
        try await images.fetch(layer, diffID, from: repository, domain: domain, configuration) { progress(layer.digest, $0) }
    }

    private func add(
        _ configBytes: [UInt8], _ fetched: FetchedManifest, _ digest: Digest, _ attachments: ImageAttachments?
    ) async throws -> (image: Image, isNew: Bool) {
        let (images, reference, domain, repository) = (images, reference, domain, repository)
        return try await blocking {
            let before = try? images.find("\(reference.digest.map { reference.with($0) } ?? reference)").image.id  // Absent, mostly.
            let names = reference.digest == nil ? [reference, reference.with(digest)] : [reference.with(digest)]
            let image = try images.add(configBytes: configBytes, references: names, attachments: attachments)
            let manifest = ImageManifest(bytes: fetched.bytes, mediaType: fetched.mediaType, domain: domain, repository: repository.path)
            try images.transfers.note(manifest, of: image.id)
            try images.transfers.stopKeeping(image.layers)
            return (image, before != image.id)
        }
    }
}

extension ImageStore {
    /// Gets a layer from a repository, or waits for whoever gets it already.
    func fetch(
        _ layer: Descriptor, _ diffID: Digest, from repository: RepositoryClient, domain: String, _ configuration: RegistryConfiguration,
        listener: @escaping @Sendable (TransferStep) -> Void
    ) async throws {
        try await fetches.run(diffID, listener: listener) { [self] tell in
            try await downloadSlots.take { () async throws -> Void in
                // Somebody may have built, loaded or pulled it while we stood in line.
                if try await layers.exists(diffID) { return tell(.pulled) }
                try await LayerFetch(
                    layers: layers, transfers: transfers, downloads: downloads, underWay: underWay, descriptor: layer, diffID: diffID,
                    repository: repository, domain: domain, configuration: configuration, tell: tell
                ).run()
            }
        }
    }
}

/// The forms in which layers come.
enum LayerMediaType {
    private static let known: Set<String> = [
        MediaType.layer, MediaType.layerGzip, MediaType.layerZstd, MediaType.dockerLayer, MediaType.dockerLayerGzip,
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ]

    static func isKnown(_ type: String) -> Bool { known.contains(type) }

    /// The same compression under the name that goes with Docker's manifests or with OCI's.
    static func converted(_ type: String, isOCI: Bool) -> String {
        if type.hasSuffix("zstd") { return isOCI ? MediaType.layerZstd : "application/vnd.docker.image.rootfs.diff.tar.zstd" }
        if type.hasSuffix("gzip") { return isOCI ? MediaType.layerGzip : MediaType.dockerLayerGzip }
        return isOCI ? MediaType.layer : MediaType.dockerLayer
    }
}

/// Removes what nobody has come back to for so many seconds.
func sweepDownloads(_ directory: FilePath, olderThan seconds: Int64, except underWay: BlobsUnderWay, _ logger: Logger) throws {
    let now = Timestamp.now().seconds
    let opened = try OwnedFD.open(directory, [.readOnly, .directory])
    for name in try namesInDirectory(opened) {
        let hex = String(name.description.prefix { $0 != "." })
        if let blob = try? Digest(hex: hex), underWay.contains(blob) { continue }  // Other names are no blob's.
        guard let metadata = try fstatatIfExists(opened, name), now - metadata.modified.seconds >= seconds else { continue }
        do {
            try removeTree(in: opened, name)
        } catch {
            logger.warning("left-over of a pull cannot be removed", metadata: ["name": "\(name)", "error": "\(error)"])
        }
    }
}

/// Removes all there is in `downloads/` of a blob.
private func removeDownload(of blob: Digest, in downloads: FilePath) throws {
    try PartialBlob.remove(blob, in: downloads)
    try ReadyLayer.remove(blob, in: downloads)
}
