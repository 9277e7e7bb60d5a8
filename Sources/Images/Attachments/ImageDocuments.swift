public import OCI
import Store

/// The documents that stand for an image in a registry or an archive. With attestations these are, as BuildKit writes them:
///
/// ```
/// index ──> manifest ──> configuration, layers
///     └───> manifest for "unknown/unknown", annotated with the digest of the other one ──> configuration, a statement each layer
/// ```
/// and otherwise the one manifest. The same image with the same layers, names and attachments always gives the same bytes.
struct ImageDocuments {
    struct Document {
        var bytes: [UInt8]
        var descriptor: Descriptor

        init(_ bytes: [UInt8], _ mediaType: String, annotations: [String: String] = [:], platform: Platform? = nil) {
            self.bytes = bytes
            descriptor = Descriptor(
                mediaType: mediaType, digest: Digest.sha256(of: bytes), size: Int64(bytes.count),
                annotations: annotations.isEmpty ? nil : annotations, platform: platform)
        }
    }

    /// Of the image, base first.
    let layers: [Descriptor]
    /// Statements, and the configuration of their manifest.
    private(set) var blobs: [Document] = []
    /// What the index names; none without one.
    private(set) var manifests: [Document] = []
    /// What the name stands for.
    private(set) var top: Document

    init(of image: Image, layers: [Descriptor], names: [Reference], _ attachments: ImageAttachments?) throws {
        let config = Descriptor(mediaType: MediaType.config, digest: image.id, size: Int64(image.configBytes.count))
        let attachments = attachments ?? ImageAttachments()
        let manifest = Manifest(config: config, layers: layers, annotations: attachments.manifest.isEmpty ? nil : attachments.manifest)
        try self.init(of: image, manifest: encodeDocument(manifest), layers: layers, names: names, attachments)
    }

    /// The same with a manifest of OCI's kind that somebody has made already.
    init(of image: Image, manifest: [UInt8], layers: [Descriptor] = [], names: [Reference], _ attachments: ImageAttachments) throws {
        self.layers = layers
        var document = Document(manifest, MediaType.manifest, annotations: attachments.manifestDescriptor)
        if attachments.attestations.isEmpty {
            top = document
            return
        }
        let subject = AttestationSubject(names: names, platform: image.config.platform, digest: document.descriptor.digest)
        let statements = attachments.attestations.map { attestation in
            Document(
                subject.statement(attestation), MediaType.inToto, annotations: ["in-toto.io/predicate-type": attestation.predicateType])
        }
        document.descriptor.platform = image.config.platform
        let about = try Self.manifest(of: statements.map(\.descriptor), about: document.descriptor.digest)
        blobs = statements + [about.config]
        manifests = [document, about.manifest]
        let index = Index(manifests: manifests.map(\.descriptor), annotations: attachments.index.isEmpty ? nil : attachments.index)
        top = Document(try encodeDocument(index), MediaType.index, annotations: attachments.indexDescriptor)
    }

    /// A manifest whose layers are statements. It is for no platform, so that nobody takes it for an image.
    private static func manifest(of statements: [Descriptor], about image: Digest) throws -> (config: Document, manifest: Document) {
        let unknown = Platform(architecture: "unknown", os: "unknown")
        let settings = ImageConfig(
            architecture: unknown.architecture, os: unknown.os, config: ImageConfig.Config(), rootfs: .init(diffIDs: statements.map(\.digest)))
        let config = Document(try encodeDocument(settings), MediaType.config)
        let manifest = Manifest(config: config.descriptor, layers: statements)
        let annotations = [AttestationNames.type: AttestationNames.manifest, AttestationNames.subject: "\(image)"]
        return (config, Document(try encodeDocument(manifest), MediaType.manifest, annotations: annotations, platform: unknown))
    }
}

/// How the entry of an index tells that it has statements, and about which manifest.
enum AttestationNames {
    static let type = "vnd.docker.reference.type"
    static let manifest = "attestation-manifest"
    static let subject = "vnd.docker.reference.digest"
    /// More than that nobody says of an image.
    static let most = 16
}

/// What statements are about.
public struct AttestationSubject {
    private let subjects: [(name: String, digest: Digest)]

    /// An image with its names, or with none.
    init(names: [Reference], platform: Platform, digest: Digest) {
        let addresses = names.map { PackageURL(image: $0, platform: platform).text }
        // The name for what has none.
        subjects = (addresses.isEmpty ? ["_"] : addresses).map { ($0, digest) }
    }

    /// Files.
    public init(files: [(name: String, digest: Digest)]) { subjects = files }

    /// An in-toto statement.
    public func statement(_ attestation: ImageAttachments.Attestation) -> [UInt8] {
        let subjects = JSONValue.array(
            subjects.map { subject in
                ["digest": .object([(subject.digest.algorithm.rawValue, .string(subject.digest.hex))]), "name": .string(subject.name)]
            })
        let head: JSONValue = [
            "_type": "https://in-toto.io/Statement/v0.1", "predicateType": .string(attestation.predicateType), "subject": subjects,
        ]
        // The predicate is a document already, and may be a large one.
        return head.serialized().dropLast() + Array(#","predicate":"#.utf8) + Array(attestation.predicate.utf8) + [UInt8(ascii: "}")]
    }
}
