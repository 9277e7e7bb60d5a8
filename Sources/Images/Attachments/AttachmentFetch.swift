import OCI
import Registry

/// Gets from a registry what an index says of one of its images, beside the image.
struct AttachmentFetch: Sendable {
    let repository: RepositoryClient

    /// Nil when the index has no statements about it: then its manifest says all.
    /// - Parameter entry: where the index names the manifest
    func run(_ index: Index, _ entry: Descriptor, _ manifest: Manifest) async throws -> ImageAttachments? {
        var attachments = ImageAttachments()
        attachments.manifest = manifest.annotations ?? [:]
        attachments.manifestDescriptor = entry.annotations ?? [:]
        attachments.index = index.annotations ?? [:]
        var bytes: Int64 = 0
        for about in index.attestations(of: entry.digest).prefix(AttestationNames.most) {
            guard case .manifest(let list) = try await repository.manifest(.digest(about.digest), expected: about).document else { continue }
            for layer in list.layers.prefix(AttestationNames.most) where layer.mediaType == MediaType.inToto {
                bytes += max(0, layer.size)
                guard bytes <= Limits.attachmentBytes else {
                    throw ImageError.invalid("attestations have more than \(Limits.attachmentBytes >> 20) MiB")
                }
                let statement = try await repository.blob(layer, limit: Limits.documentBytes)
                attachments.attestations.append(try ImageAttachments.Attestation(statement: statement))
            }
        }
        return attachments.attestations.isEmpty ? nil : attachments
    }
}

extension Index {
    /// The manifests of statements about one of the images.
    func attestations(of image: Digest) -> [Descriptor] {
        manifests.filter { entry in
            entry.annotations?[AttestationNames.type] == AttestationNames.manifest
                && entry.annotations?[AttestationNames.subject] == "\(image)"
        }
    }
}

extension ImageAttachments.Attestation {
    /// What a statement of in-toto states, without the image that it is about.
    init(statement bytes: [UInt8]) throws {
        let statement: JSONValue
        do {
            statement = try JSONValue.parse(bytes, limits: .init(bytes: Limits.documentBytes))
        } catch {
            throw ImageError.invalid("invalid attestation: \(error)")
        }
        guard let type = statement["predicateType"]?.string, let predicate = statement["predicate"] else {
            throw ImageError.invalid("invalid attestation: no statement of in-toto")
        }
        self.init(predicateType: type, predicate: String(decoding: predicate.serialized(), as: UTF8.self))
    }
}
