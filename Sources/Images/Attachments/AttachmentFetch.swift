import Logging
import OCI
import Registry

/// Gets from a registry what an index says of one of its images, beside the image.
struct AttachmentFetch: Sendable {
    let repository: RepositoryClient
    let logger: Logger

    /// Nil when the index has no statements about it: then its manifest says all.
    /// - Parameter entry: where the index names the manifest
    func run(_ index: Index, _ entry: Descriptor, _ manifest: Manifest) async throws -> ImageAttachments? {
        var attachments = ImageAttachments()
        attachments.manifest = manifest.annotations ?? [:]
        attachments.manifestDescriptor = entry.annotations ?? [:]
        attachments.index = index.annotations ?? [:]
        var budget = StatementBudget()
        for about in index.attestations(of: entry.digest) {
            guard case .manifest(let list) = try await repository.manifest(.digest(about.digest), expected: about).document else { continue }
            for layer in budget.statements(of: list) {
                let statement = try await repository.blob(layer, limit: Limits.statementBytes)
                if let attestation = try budget.attestation(statement) { attachments.attestations.append(attestation) }
            }
        }
        if budget.skipped > 0 { logger.warning("attestations are too large, or too many", metadata: ["left out": "\(budget.skipped)"]) }
        return attachments.attestations.isEmpty ? nil : attachments
    }
}
