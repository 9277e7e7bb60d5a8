import BuildContext
import Images
import Linux
import OCI
import SystemPackage

extension BuildRun {
    /// What goes with the image: the annotations that were asked for, and what can be said of it now that it is whole.
    func attachments(_ state: ImageState) async throws -> ImageAttachments {
        var attachments = request.attachments
        for attestation in request.attestations {
            switch attestation {
            case .provenance(let wanted): attachments.attestations.append(provenance(wanted))
            case .sbom(let isForImages): attachments.attestations.append(try await packageList(state, isForImages))
            }
        }
        return attachments
    }

    private func provenance(_ wanted: BuildAttestation.Provenance) -> ImageAttachments.Attestation {
        let provenance = Provenance(wanted: wanted, request: request, lock: request.lock?.file ?? LockFile(), dockerfile: dockerfile)
        return ImageAttachments.Attestation(
            predicateType: provenance.predicateType, predicate: Self.text(provenance.predicate), isForImages: wanted.isForImages)
    }

    private func packageList(_ state: ImageState, _ isForImages: Bool) async throws -> ImageAttachments.Attestation {
        let (store, layers) = (build.images.layers, state.layers)
        let inventory = try await store.holding(layers) {
            try await stoppable { stop in
                try PackageInventory(in: try store.mount(layers: layers, upper: nil, work: nil)) { try stop.check() }
            }
        }
        if inventory.hasRPM { await say("[Warning] packages of RPM are not in the SBOM: Skiff cannot read their list\n") }
        // The image's own time, which is no later than `SOURCE_DATE_EPOCH`.
        let seconds = state.config.created.flatMap { Timestamp(rfc3339: $0) }?.seconds ?? epoch?.seconds ?? 0
        let document = SPDXDocument(inventory: inventory, layers: layers, created: "\(Timestamp(seconds: seconds))")
        return ImageAttachments.Attestation(
            predicateType: PredicateType.spdx, predicate: Self.text(document.json), isForImages: isForImages)
    }

    private static func text(_ document: JSONValue) -> String { String(decoding: document.serialized(), as: UTF8.self) }
}
