public import OCI

/// The name of a package across all kinds of packages: `pkg:deb/debian/bash@5.2-15?arch=amd64&distro=debian-12`.
///
/// <https://github.com/package-url/purl-spec>
public struct PackageURL: Sendable, Hashable {
    /// `deb`, `npm`, `docker` and so on.
    public var type: String
    /// Parts in front of the name, without their slashes.
    public var namespace: [String]
    public var name: String
    public var version: String
    public var qualifiers: [String: String]

    public init(type: String, namespace: [String] = [], name: String, version: String = "", qualifiers: [String: String] = [:]) {
        self.type = type
        self.namespace = namespace
        self.name = name
        self.version = version
        self.qualifiers = qualifiers
    }

    /// An image of a registry, or with the type `oci` one that came from nowhere.
    public init(image reference: Reference, platform: Platform, type: String = "docker") {
        let parts = reference.familiarName.split(separator: "/").map(String.init)
        var qualifiers = ["platform": "\(platform)"]
        if let digest = reference.digest { qualifiers["digest"] = "\(digest)" }
        self.init(
            type: type, namespace: Array(parts.dropLast()), name: parts.last ?? "",
            version: reference.tag ?? (reference.digest == nil ? "latest" : ""), qualifiers: qualifiers)
    }

    public var text: String {
        let path = ([type] + (namespace + [name]).map(Self.escaped)).joined(separator: "/")
        let version = version.isEmpty ? "" : "@\(Self.escaped(version))"
        let pairs = qualifiers.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.escaped($0.value))" }
        return "pkg:\(path)\(version)" + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
    }

    private static func escaped(_ text: String) -> String { text.percentEncoded(keeping: ":") }
}
