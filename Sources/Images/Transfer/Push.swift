import Blocking
import FoundationEssentials
public import OCI
public import Registry
import Store

/// What a registry has now.
public struct PushedImage: Sendable, Equatable {
    public let tag: String
    /// Of the manifest.
    public let digest: Digest
    public let size: Int
}

extension ImageStore {
    /// `docker push` of one name: the layers that the registry does not have, the configuration, and the manifest last.
    ///
    /// `found` is called with the diff ids of the layers, the topmost first, before anything is sent.
    public func push(
        _ reference: Reference, to registries: Registries, _ credentials: RegistryCredentials,
        progress: @escaping TransferProgress, found: @escaping @Sendable ([Digest]) -> Void = { _ in }
    ) async throws -> PushedImage {
        guard let tag = reference.tag, reference.digest == nil else {
            throw ImageError.invalid("cannot push a digest reference")
        }
        let (meant, attachments) = try await blocking {
            let meant = try self.find("\(reference)")
            return (meant, try self.attachments(of: meant))
        }
        let image = meant.image
        let target = try await blocking { try registries.target(of: reference, credentials) }
        let repository = try await target.connect(for: .push)
        let push = ImagePush(
            images: self, image: image, attachments: attachments, reference: reference, tag: tag, repository: repository,
            domain: target.isMirror ? "mirror:\(target.host)" : reference.domain, configuration: registries.configuration, progress: progress)
        found(image.layers.reversed())
        return try await layers.holding(image.layers) { try await push.run() }
    }

    /// The names of images in a repository, those with a tag.
    public func references(in repository: Reference) async throws -> [Reference] {
        try await list().flatMap(\.references).filter { $0.name == repository.name && $0.tag != nil && $0.digest == nil }
            .sorted { "\($0)" < "\($1)" }
    }
}

/// One push.
private struct ImagePush: Sendable {
    let images: ImageStore
    let image: Image
    let attachments: ImageAttachments?
    let reference: Reference
    let tag: String
    let repository: RepositoryClient
    /// Where the blobs are remembered to be.
    let domain: String
    let configuration: RegistryConfiguration
    let progress: TransferProgress

    func run() async throws -> PushedImage {
        if try await repository.blobSize(image.id) == nil {
            try await repository.upload(image.configBytes, digest: image.id)
        }
        if let attachments { return try await run(with: attachments) }
        let (images, image) = (images, image)
        let known = try await blocking { try images.transfers.manifest(of: image.id) }
        let manifest: ImageManifest
        if let known, try await hasBlobs(of: known) {
            manifest = known
        } else {
            manifest = try made(of: try await sendLayers(), isOCI: known?.mediaType == MediaType.manifest)
        }
        try await repository.putManifest(manifest.bytes, mediaType: manifest.mediaType, as: .tag(tag))
        return try await note(manifest)
    }

    /// What goes with the image is said in OCI's documents only. They are made anew each time, and come out the same.
    private func run(with attachments: ImageAttachments) async throws -> PushedImage {
        let documents = try await documents(with: attachments)
        for blob in documents.blobs where try await repository.blobSize(blob.descriptor.digest) == nil {
            try await repository.upload(blob.bytes, digest: blob.descriptor.digest)
        }
        for manifest in documents.manifests {
            try await repository.putManifest(
                manifest.bytes, mediaType: manifest.descriptor.mediaType, as: .digest(manifest.descriptor.digest))
        }
        let top = documents.top
        try await repository.putManifest(top.bytes, mediaType: top.descriptor.mediaType, as: .tag(tag))
        let (images, image, reference) = (images, image, reference)
        try await blocking { try images.name(image.id, reference.with(top.descriptor.digest), as: reference) }
        return PushedImage(tag: tag, digest: top.descriptor.digest, size: top.bytes.count)
    }

    /// With the manifest that the image came with, if that says the same and its layers can stay as they are.
    private func documents(with attachments: ImageAttachments) async throws -> ImageDocuments {
        let (images, image) = (images, image)
        let known = try await blocking { try images.transfers.manifest(of: image.id) }
        if let known, known.mediaType == MediaType.manifest,
            let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(known.bytes)),  // As in `hasBlobs`.
            manifest.annotations ?? [:] == attachments.manifest, try await hasBlobs(of: known)
        {
            return try ImageDocuments(of: image, manifest: known.bytes, names: [reference], attachments)
        }
        let layers = try await sendLayers().map { blob in
            Descriptor(mediaType: LayerMediaType.converted(blob.mediaType, isOCI: true), digest: blob.digest, size: blob.size)
        }
        return try ImageDocuments(of: image, layers: layers, names: [reference], attachments)
    }

    private func note(_ manifest: ImageManifest) async throws -> PushedImage {
        let digest = Digest.sha256(of: manifest.bytes)
        let (images, image, reference, repository) = (images, image, reference, repository)
        try await blocking {
            try images.name(image.id, reference.with(digest), as: reference)
            let here = ImageManifest(
                bytes: manifest.bytes, mediaType: manifest.mediaType, domain: domain, repository: repository.path)
            try images.transfers.note(here, of: image.id)
        }
        return PushedImage(tag: tag, digest: digest, size: manifest.bytes.count)
    }

    /// Whether the repository has all layers in the form in which the image came, or can take them over from where it came
    /// from: then its manifest, and with it its digest, stays the same.
    private func hasBlobs(of known: ImageManifest) async throws -> Bool {
        guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(known.bytes)),  // Our own row; at worst a new one is made.
            manifest.config.digest == image.id, manifest.layers.count == image.layers.count
        else { return false }
        var steps: [Digest: TransferStep] = [:]
        for (blob, layer) in zip(manifest.layers, image.layers) where steps[layer] == nil {
            if try await repository.blobSize(blob.digest) != nil {
                steps[layer] = .layerExists
            } else if known.domain == domain, known.repository != repository.path,
                try await repository.mount(blob.digest, from: known.repository)
            {
                steps[layer] = .mounted(from: known.repository)
            } else {
                return false
            }
        }
        for (layer, step) in steps { progress(layer, step) }
        return true
    }

    /// The forms in which the registry has the layers now, base first.
    private func sendLayers() async throws -> [LayerBlob] {
        let sent = try await withThrowingTaskGroup(of: LayerBlob.self) { group in
            for layer in Set(image.layers) {
                group.addTask {
                    try await images.uploadSlots.take {
                        try await LayerPush(
                            layers: images.layers, transfers: images.transfers, layer: layer, repository: repository,
                            domain: domain, configuration: configuration, tell: { progress(layer, $0) }
                        ).run()
                    }
                }
            }
            return try await group.reduce(into: [Digest: LayerBlob]()) { $0[$1.diffID] = $1 }
        }
        return image.layers.compactMap { sent[$0] }
    }

    /// A manifest of the kind that the image came with, Docker's when there is none to follow.
    private func made(of blobs: [LayerBlob], isOCI: Bool) throws -> ImageManifest {
        let config = Descriptor(
            mediaType: isOCI ? MediaType.config : MediaType.dockerConfig, digest: image.id, size: Int64(image.configBytes.count))
        let layers = blobs.map {
            Descriptor(mediaType: LayerMediaType.converted($0.mediaType, isOCI: isOCI), digest: $0.digest, size: $0.size)
        }
        let mediaType = isOCI ? MediaType.manifest : MediaType.dockerManifest
        let bytes = try encodeDocument(Manifest(mediaType: mediaType, config: config, layers: layers))
        return ImageManifest(bytes: bytes, mediaType: mediaType, domain: domain, repository: repository.path)
    }
}

/// Sees to it that a repository has one layer.
struct LayerPush: Sendable {
    let layers: LayerStore
    let transfers: TransferRecords
    let layer: Digest
    let repository: RepositoryClient
    let domain: String
    let configuration: RegistryConfiguration
    /// Nil takes any form in which the layer came, and gzip.
    var compression: LayerCompression?
    let tell: @Sendable (TransferStep) -> Void

    func run() async throws -> LayerBlob {
        let forms = try await blocking { [transfers, layer, compression] in
            let wanted = LayerMediaType.converted((compression ?? .gzip).mediaType, isOCI: true)
            return try transfers.blobs(of: layer).filter { form in
                // What somebody wanted packed otherwise before says nothing of this push.
                wanted == LayerMediaType.converted(form.mediaType, isOCI: true) || (compression == nil && !form.isMadeHere)
            }
        }
        for form in forms where try await repository.blobSize(form.digest) != nil {
            tell(.layerExists)
            try await note(form)
            return form
        }
        for form in forms {
            guard let source = try await mount(form) else { continue }
            tell(.mounted(from: source))
            try await note(form)
            return form
        }
        return try await upload()
    }

    /// The repository that gave the blob.
    private func mount(_ form: LayerBlob) async throws -> String? {
        let others = try await blocking { [transfers, domain] in try transfers.repositories(of: form.digest, domain: domain) }
        for other in others.prefix(4) where other != repository.path {
            if try await repository.mount(form.digest, from: other) { return other }
            try await blocking { [transfers, domain] in try transfers.forget(form.digest, domain: domain, repository: other) }
        }
        return nil
    }

    private func upload() async throws -> LayerBlob {
        let total = try await blocking { [layers, layer] in try layers.tarLength(layer) }
        var wait = BackOff(configuration)
        while true {
            do {
                let form = try await uploadOnce(total)
                try await note(form)
                tell(.pushed)
                return form
            } catch let error as RegistryError where error.isTransient {
                try await wait.next(after: error)
            }
        }
    }

    private func uploadOnce(_ total: Int64) async throws -> LayerBlob {
        let tell = tell
        tell(.pushing(current: 0, total: total))
        let compression = compression ?? .gzip
        let packed = try CompressedLayer(layer, of: layers, as: compression) { tell(.pushing(current: $0, total: total)) }
        do {
            try await repository.upload({ try await packed.next() }, finish: { try packed.finished().digest })
            let made = try packed.finished()
            try await packed.stop()
            return LayerBlob(
                digest: made.digest, diffID: layer, size: made.size,
                mediaType: LayerMediaType.converted(compression.mediaType, isOCI: false), isMadeHere: true)
        } catch {
            try await packed.stop()
            throw error
        }
    }

    private func note(_ form: LayerBlob) async throws {
        try await blocking { [transfers, domain, repository] in
            try transfers.note(form, domain: domain, repository: repository.path)
        }
    }
}
