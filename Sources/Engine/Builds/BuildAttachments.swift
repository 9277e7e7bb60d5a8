import BuildContext
import Builder
import Images
import OCI

/// What a build is asked to let go with its image.
struct BuildAttachments {
    let annotations: ImageAttachments
    let attestations: [BuildAttestation]

    init(_ parameters: BuildParameters) throws {
        do {
            attestations = try BuildAttestation.parse(parameters.attestations)
            annotations = try Self.annotations(parameters.annotations.flatMap(BuildAnnotation.parse), hasIndex: !attestations.isEmpty)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.invalidArgument, "\(error)")
        }
    }

    private static func annotations(_ given: [BuildAnnotation], hasIndex: Bool) throws -> ImageAttachments {
        var attachments = ImageAttachments()
        for annotation in given {
            if let platform = annotation.platform, PlatformChoice(platform)?.matches(.host) != true {
                throw EngineError(.invalidArgument, "invalid annotation: no platform \(platform) found in source")
            }
            guard hasIndex || !annotation.place.isOfIndex else {
                throw EngineError(.invalidArgument, "index annotations not supported for single platform export")
            }
            switch annotation.place {
            case .manifest: attachments.manifest[annotation.key] = annotation.value
            case .manifestDescriptor: attachments.manifestDescriptor[annotation.key] = annotation.value
            case .index: attachments.index[annotation.key] = annotation.value
            case .indexDescriptor: attachments.indexDescriptor[annotation.key] = annotation.value
            }
        }
        return attachments
    }
}
