/// The configuration of an image: what it is made of and how a container of it starts. Its digest is the image's id.
///
/// OCI's document with what Docker adds to it.
public struct ImageConfig: Sendable, Hashable, Codable {
    public var created: String?
    public var author: String?
    public var architecture: String
    public var variant: String?
    public var os: String
    public var osVersion: String?
    public var osFeatures: [String]?
    public var config: Config?
    public var rootfs: RootFS
    public var history: [History]?

    public init(
        created: String? = nil, author: String? = nil, architecture: String = Platform.host.architecture,
        variant: String? = nil, os: String = "linux", osVersion: String? = nil, osFeatures: [String]? = nil,
        config: Config? = nil, rootfs: RootFS = RootFS(), history: [History]? = nil
    ) {
        self.created = created
        self.author = author
        self.architecture = architecture
        self.variant = variant
        self.os = os
        self.osVersion = osVersion
        self.osFeatures = osFeatures
        self.config = config
        self.rootfs = rootfs
        self.history = history
    }

    enum CodingKeys: String, CodingKey {
        case created, author, architecture, variant, os, config, rootfs, history
        case osVersion = "os.version"
        case osFeatures = "os.features"
    }

    public var platform: Platform {
        Platform(architecture: architecture, os: os, osVersion: osVersion, osFeatures: osFeatures, variant: variant)
    }

    /// The layers, base first, each named by the digest of its uncompressed tar.
    public struct RootFS: Sendable, Hashable, Codable {
        public var type: String
        public var diffIDs: [Digest]

        public init(type: String = "layers", diffIDs: [Digest] = []) {
            self.type = type
            self.diffIDs = diffIDs
        }

        enum CodingKeys: String, CodingKey {
            case type
            case diffIDs = "diff_ids"
        }

        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            type = try container.decode(String.self, forKey: .type)
            diffIDs = try container.decodeIfPresent([Digest].self, forKey: .diffIDs) ?? []
        }
    }

    /// One step in the making of the image, oldest first.
    public struct History: Sendable, Hashable, Codable {
        public var created: String?
        public var createdBy: String?
        public var author: String?
        public var comment: String?
        /// The step changed only the configuration.
        public var emptyLayer: Bool?

        public init(
            created: String? = nil, createdBy: String? = nil, author: String? = nil, comment: String? = nil,
            emptyLayer: Bool? = nil
        ) {
            self.created = created
            self.createdBy = createdBy
            self.author = author
            self.comment = comment
            self.emptyLayer = emptyLayer
        }

        enum CodingKeys: String, CodingKey {
            case created, author, comment
            case createdBy = "created_by"
            case emptyLayer = "empty_layer"
        }
    }
}
