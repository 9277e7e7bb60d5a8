import Blocking
public import OCI
import Store

/// What goes with an image to registries and archives, beside its configuration and its layers: annotations, and statements about
/// it. It belongs to a name of the image, for two builds may come to the same image and say different things of it.
public struct ImageAttachments: Sendable, Equatable, Codable {
    /// A statement about the image, without the image: whose digest it is about is known when the manifest is written.
    public struct Attestation: Sendable, Equatable, Codable {
        /// What kind of statement it is, as an address: `https://slsa.dev/provenance/v0.2`.
        public var predicateType: String
        /// The statement itself, a JSON document.
        public var predicate: String
        /// It goes with images only, into no folder.
        public var isForImages: Bool

        public init(predicateType: String, predicate: String, isForImages: Bool = false) {
            self.predicateType = predicateType
            self.predicate = predicate
            self.isForImages = isForImages
        }

        /// Its file, where the result of a build is one folder of files.
        var fileName: String {
            switch predicateType {
            case PredicateType.provenanceV02, PredicateType.provenanceV1: "provenance.json"
            case PredicateType.spdx: "sbom.spdx.json"
            default: "attestation.json"
            }
        }

        /// The files of several; those with the same name are numbered: `attestation.json`, `attestation-2.json`.
        public static func fileNames(_ attestations: [Attestation]) -> [String] {
            var counts: [String: Int] = [:]
            return attestations.map { attestation in
                let name = attestation.fileName
                let count = counts[name, default: 0] + 1
                counts[name] = count
                let parts = name.split(separator: ".", maxSplits: 1)
                return count == 1 ? name : "\(parts[0])-\(count).\(parts.dropFirst().joined())"
            }
        }
    }

    /// In the image's manifest, and in what points to it.
    public var manifest: [String: String] = [:]
    public var manifestDescriptor: [String: String] = [:]
    /// In the index that holds the manifest and the attestations, and in what points to it.
    public var index: [String: String] = [:]
    public var indexDescriptor: [String: String] = [:]
    public var attestations: [Attestation] = []

    public init() {}

    public var isEmpty: Bool {
        manifest.isEmpty && manifestDescriptor.isEmpty && index.isEmpty && indexDescriptor.isEmpty && attestations.isEmpty
    }

    /// The document as it is stored: the same value always gives the same bytes.
    func document() throws -> [UInt8]? {
        if isEmpty { return nil }
        guard attestations.allSatisfy({ $0.predicate.utf8.count <= Limits.predicateBytes }) else {
            throw ImageError.invalid("an attestation may have \(Limits.predicateBytes >> 20) MiB")
        }
        let bytes = try encodeDocument(self)
        guard bytes.count <= Limits.attachmentBytes else {
            throw ImageError.invalid("annotations and attestations of an image may have \(Limits.attachmentBytes >> 20) MiB together")
        }
        return bytes
    }
}

/// Kinds of statements.
public enum PredicateType {
    public static let provenanceV02 = "https://slsa.dev/provenance/v0.2"
    public static let provenanceV1 = "https://slsa.dev/provenance/v1"
    public static let spdx = "https://spdx.dev/Document"
}

extension ImageStore {
    /// What goes with the image that a name or an id means.
    public func attachments(_ nameOrID: String) async throws -> ImageAttachments? {
        try await blocking { try self.attachments(of: try self.find(nameOrID)) }
    }

    /// The descriptor of what stands for an image in an archive, its manifest or an index; nil when nothing goes with it.
    public func descriptor(_ nameOrID: String) async throws -> Descriptor? {
        try await blocking {
            let found = try self.find(nameOrID)
            guard let attachments = try self.attachments(of: found) else { return nil }
            return try self.archived(found.image, [found.name].compactMap(\.self), attachments).top.descriptor
        }
    }

    func attachments(of found: Found) throws -> ImageAttachments? {
        // A row that went just now is as good as none.
        guard let digest = found.attached, let bytes = try records.attachments(digest) else { return nil }
        return try decodeDocument(ImageAttachments.self, from: bytes, "annotations and attestations", limit: Limits.attachmentBytes)
    }

    /// The documents of an image whose layers are as they are, not packed.
    func archived(_ image: Image, _ references: [Reference], _ attachments: ImageAttachments?) throws -> ImageDocuments {
        let layers = try image.layers.map { layer in
            Descriptor(mediaType: MediaType.layer, digest: layer, size: try self.layers.tarLength(layer))
        }
        return try ImageDocuments(of: image, layers: layers, names: references, attachments)
    }
}
