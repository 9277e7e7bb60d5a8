/// What is different in another image.
public struct ImageDifference: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case added, removed, changed
    }

    /// A file, link, directory or device of one image or both. Sizes are those of contents, and nil where it is not.
    public struct File: Sendable, Equatable {
        /// Absolute, as a container sees it.
        public var path: String
        public var kind: Kind
        public var sizeBefore: Int64?
        public var sizeAfter: Int64?
        /// What changed: `content`, `kind`, `mode`, `owner`, `link`, `device`, `attributes`.
        public var changes: [String] = []
    }

    /// A package of a distribution that keeps dpkg's lists.
    public struct Package: Sendable, Equatable {
        public var name: String
        public var kind: Kind
        public var versionBefore: String?
        public var versionAfter: String?
    }

    /// By path.
    public var files: [File]
    /// By name.
    public var packages: [Package]
}
