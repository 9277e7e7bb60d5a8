import FoundationEssentials
public import OCI

/// What a registry has under a name: one image, or a list of images for several platforms.
///
/// Read strictly: a document that two readers could take for two different things is refused (CVE-2021-41190), and so is
/// one with a member twice.
public enum ManifestDocument: Sendable, Equatable {
    case manifest(Manifest)
    case index(Index)

    /// `contentType` is what the registry says that it is.
    public init(_ bytes: [UInt8], contentType: String?, repository: String) throws {
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes, limits: .init(bytes: RepositoryClient.manifestLimit, depth: 32))
        } catch {
            throw RegistryError(.invalidReply, "invalid manifest: \(error)")
        }
        let stated = contentType.map(Self.plainType) ?? ""
        try Self.refuseSchemaOne(value, stated, repository)
        guard value["schemaVersion"]?.integer == 2 else { throw RegistryError(.invalidReply, "invalid manifest: its schemaVersion is not 2") }
        let inner = value["mediaType"]?.string
        if let inner, Self.isKnown(stated), inner != stated {
            throw RegistryError(.invalidReply, "ambiguous manifest: sent as \(stated), but says of itself that it is \(inner)")
        }
        let type = inner ?? (Self.isKnown(stated) ? stated : nil)
        let (hasManifests, hasLayers) = (value["manifests"] != nil, value["layers"] != nil || value["config"] != nil)
        guard hasManifests != hasLayers, value["fsLayers"] == nil else {
            throw RegistryError(.invalidReply, "ambiguous manifest: must have either layers and a config, or manifests")
        }
        if let type, !(hasManifests ? MediaType.isIndex(type) : MediaType.isManifest(type)) {
            throw RegistryError(.unsupported, "unsupported media type \(ErrorBody.clean(type)) of a manifest")
        }
        do {
            let data = Data(bytes)
            self =
                hasManifests
                ? .index(try JSONDecoder().decode(Index.self, from: data)) : .manifest(try JSONDecoder().decode(Manifest.self, from: data))
        } catch {
            throw RegistryError(.invalidReply, "invalid manifest: \(ErrorBody.clean("\(error)"))")
        }
        try checkSizes()
    }

    /// The media type of the document: its own word, then that of the registry, then what it looks like.
    func mediaType(stated: String?) -> String {
        let plain = stated.map(Self.plainType)
        switch self {
        case .manifest(let manifest):
            return manifest.mediaType ?? plain.flatMap { MediaType.isManifest($0) ? $0 : nil } ?? MediaType.manifest
        case .index(let index):
            return index.mediaType ?? plain.flatMap { MediaType.isIndex($0) ? $0 : nil } ?? MediaType.index
        }
    }

    /// Without parameters, in lower case.
    static func plainType(_ header: String) -> String {
        String(header.prefix { $0 != ";" }.filter { $0 != " " }).lowercased()
    }

    private static func isKnown(_ type: String) -> Bool { MediaType.isIndex(type) || MediaType.isManifest(type) }

    private static func refuseSchemaOne(_ value: JSONValue, _ stated: String, _ repository: String) throws {
        guard value["schemaVersion"]?.integer == 1 || stated.hasPrefix("application/vnd.docker.distribution.manifest.v1+") else { return }
        throw RegistryError(
            .unsupported,
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. "
                + "Suggest the author of \(repository) to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. "
                + "More information at https://docs.docker.com/go/deprecated-image-specs/")
    }

    private func checkSizes() throws {
        let descriptors =
            switch self {
            case .manifest(let manifest): [manifest.config] + manifest.layers
            case .index(let index): index.manifests
            }
        guard descriptors.allSatisfy({ $0.size >= 0 }) else { throw RegistryError(.invalidReply, "invalid manifest: a size below zero") }
    }
}
