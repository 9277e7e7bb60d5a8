import OCI
import Store

extension ArchiveParts {
    /// What the archive's index says of an image, beside the image; nil when it says nothing.
    func attachments(of image: ArchivedImage) throws -> ImageAttachments? {
        guard hasDocument("index.json") else { return nil }
        let id = Digest.sha256(of: image.configBytes)
        let index = try decodeDocument(Index.self, from: document("index.json"), "index.json")
        for entry in index.manifests where Set(name(of: entry).map { $0.withDefaultTag() }).isSubset(of: image.references) {
            if let found = try attachments(below: entry, of: id) { return found.isEmpty ? nil : found }
        }
        return nil
    }

    /// Nil when the entry leads to another image.
    private func attachments(below entry: Descriptor, of id: Digest) throws -> ImageAttachments? {
        var attachments = ImageAttachments()
        var entry = entry
        if MediaType.isIndex(entry.mediaType) {
            let index = try decodeDocument(Index.self, from: document(entry), "index")
            guard let own = try index.manifests.first(where: { try manifest(at: $0)?.config.digest == id }) else { return nil }
            attachments.index = index.annotations ?? [:]
            attachments.indexDescriptor = Self.given(entry)
            attachments.attestations = try index.attestations(of: own.digest).flatMap { try attestations(at: $0) }
            entry = own
        }
        guard let manifest = try manifest(at: entry), manifest.config.digest == id else { return nil }
        attachments.manifest = manifest.annotations ?? [:]
        attachments.manifestDescriptor = Self.given(entry)
        return attachments
    }

    /// An image's manifest; nil for what is none, or is not in the archive.
    private func manifest(at descriptor: Descriptor) throws -> Manifest? {
        guard MediaType.isManifest(descriptor.mediaType), descriptor.annotations?[AttestationNames.type] == nil,
            hasDocument(LayoutNames.path(descriptor.digest))
        else { return nil }
        return try decodeDocument(Manifest.self, from: document(descriptor), "manifest")
    }

    private func attestations(at descriptor: Descriptor) throws -> [ImageAttachments.Attestation] {
        let manifest = try decodeDocument(Manifest.self, from: document(descriptor), "manifest of attestations")
        return try manifest.layers.prefix(AttestationNames.most).filter { $0.mediaType == MediaType.inToto }.map { layer in
            try ImageAttachments.Attestation(statement: document(layer))
        }
    }

    /// What somebody has written there, and not whoever made the archive.
    private static func given(_ entry: Descriptor) -> [String: String] {
        (entry.annotations ?? [:]).filter { !LayoutNames.ofArchives.contains($0.key) }
    }
}
