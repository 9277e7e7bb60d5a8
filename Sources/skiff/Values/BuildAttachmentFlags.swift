import BuildContext
import OCI

/// What a build lets go with its image, as the flags say.
struct BuildAttachmentFlags: Sendable {
    private let annotations: [BuildAnnotation]
    private let attestations: [BuildAttestation]

    var hasAttestations: Bool { !attestations.isEmpty }

    init(_ call: Invocation, _ outputs: [OutputFlag]) throws {
        do {
            // What an output says of itself goes before what holds for all.
            annotations = try call[BuildFlags.annotation].flatMap(BuildAnnotation.parse) + outputs.flatMap(\.annotations)
            attestations = try BuildAttestation.parse(
                call[BuildFlags.attest], provenance: call[BuildFlags.provenance], sbom: call[BuildFlags.sbom])
        } catch {
            throw CommandFailure("\(error)")
        }
        if hasAttestations, outputs.contains(where: { $0.kind == .docker && (!$0.destination.isEmpty || $0.isStream) }) {
            throw CommandFailure("docker exporter does not currently support exporting manifest lists")
        }
    }

    /// Of the build's request.
    var query: [(String, String)] {
        [("annotations", annotations.map(\.text)), ("attests", attestations.map(\.text))].filter { !$0.1.isEmpty }.map { name, values in
            (name, String(decoding: JSONValue.array(values.map(JSONValue.string)).serialized(), as: UTF8.self))
        }
    }
}
