import OCI
import Store

extension ArchiveParts {
    /// What the archive's index says of an image, beside the image; nil when it says nothing. And how many statements are left out.
    func attachments(of image: ArchivedImage) throws -> (found: ImageAttachments?, skipped: Int) {
        guard hasDocument("index.json") else { return (nil, 0) }
        let id = Digest.sha256(of: image.configBytes)
        let index = try decodeDocument(Index.self, from: document("index.json"), "index.json")
        for entry in index.manifests where Set(name(of: entry).map { $0.withDefaultTag() }).isSubset(of: image.references) {
            var budget = StatementBudget()
            if let found = try attachments(below: entry, of: id, &budget) { return (found.isEmpty ? nil : found, budget.skipped) }
        }
        return (nil, 0)
    }

    /// Nil when the entry leads to another image.
    private func attachments(below entry: Descriptor, of id: Digest, _ budget: inout StatementBudget) throws -> ImageAttachments? {
        var attachments = ImageAttachments()
        var entry = entry
        if MediaType.isIndex(entry.mediaType) {
            let index = try decodeDocument(Index.self, from: document(entry), "index")
            guard let own = try index.manifests.first(where: { try manifest(at: $0)?.config.digest == id }) else { return nil }
            attachments.index = index.annotations ?? [:]
            attachments.indexDescriptor = Self.given(entry)
            for about in index.attestations(of: own.digest) { attachments.attestations += try attestations(at: about, &budget) }
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

    private func attestations(at descriptor: Descriptor, _ budget: inout StatementBudget) throws -> [ImageAttachments.Attestation] {
        let manifest = try decodeDocument(Manifest.self, from: document(descriptor), "manifest of attestations")
        var found: [ImageAttachments.Attestation] = []
        for layer in budget.statements(of: manifest) {
            // In an archive of many images some may have been too much.
            guard hasDocument(LayoutNames.path(layer.digest)) else {
                budget.skip()
                continue
            }
            if let attestation = try budget.attestation(document(layer)) { found.append(attestation) }
        }
        return found
    }

    /// With a registry's name behind it: where containerd has an image from.
    private static let sources = "containerd.io/distribution.source."

    /// What somebody has written there, and not whoever made the archive.
    private static func given(_ entry: Descriptor) -> [String: String] {
        (entry.annotations ?? [:]).filter { !LayoutNames.ofArchives.contains($0.key) && !$0.key.hasPrefix(sources) }
    }
}
