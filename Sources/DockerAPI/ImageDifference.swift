// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Not Docker's: the shapes of what Skiff has beyond the Engine API, in its style.

/// The answer of `GET /images/diff`.
public struct ImageDifferenceResponse: Codable, Sendable, Equatable {
    public var From: String?
    public var To: String?
    public var Files: [File]?
    public var Packages: [Package]?

    public init() {}

    /// A file that one image has, or both in different form. `Kind` is `added`, `removed` or `changed`.
    public struct File: Codable, Sendable, Equatable {
        public var Path: String?
        public var Kind: String?
        public var SizeBefore: Int64?
        public var SizeAfter: Int64?
        public var Changes: [String]?

        public init() {}
    }

    /// A package of the distribution.
    public struct Package: Codable, Sendable, Equatable {
        public var Name: String?
        public var Kind: String?
        public var VersionBefore: String?
        public var VersionAfter: String?

        public init() {}
    }
}

/// The answer of `POST /system/check`.
public struct SystemCheckResponse: Codable, Sendable, Equatable {
    public var Layers: Int?
    public var Images: Int?
    /// Of layers, read and compared.
    public var Bytes: Int64?
    public var Defects: [Defect]?

    public init() {}

    /// One thing that is wrong.
    public struct Defect: Codable, Sendable, Equatable {
        public var Kind: String?
        public var Subject: String?
        public var Problem: String?
        /// What was done about it.
        public var Repair: String?
        public var Repaired: Bool?

        public init() {}
    }
}
