import Images
import OCI
import Store

/// A list of an image's packages in the form of SPDX 2.3, as JSON.
///
/// <https://spdx.github.io/spdx-spec/v2.3/>
struct SPDXDocument {
    private static let unknown: JSONValue = "NOASSERTION"
    private static let image: JSONValue = "SPDXRef-Image"

    let inventory: PackageInventory
    /// The layers of the image, which the document is about.
    let layers: [Digest]
    /// RFC 3339, whole seconds.
    let created: String

    var json: JSONValue {
        let packages = inventory.packages.map { (id: Self.id(of: $0), package: $0) }
        let contained = packages.map { Self.relationship(Self.image, "CONTAINS", .string($0.id)) }
        return [
            "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "sbom",
            "documentNamespace": .string("https://spdx.org/spdxdocs/skiff-\(identity)"),
            "creationInfo": ["created": .string(created), "creators": ["Tool: skiff"]],
            "packages": .array([top] + packages.map { json($0.id, $0.package) }),
            "relationships": .array([Self.relationship("SPDXRef-DOCUMENT", "DESCRIBES", Self.image)] + contained),
        ]
    }

    /// One that no other document has: made of what the image consists of, and when it was made.
    private var identity: String { Digest.sha256(of: Array(([created] + layers.map(\.hex)).joined(separator: "\n").utf8)).hex }

    private var top: JSONValue {
        [
            "SPDXID": Self.image, "name": "image", "downloadLocation": Self.unknown, "filesAnalyzed": false, "licenseConcluded": Self.unknown,
            "licenseDeclared": Self.unknown, "copyrightText": Self.unknown, "primaryPackagePurpose": "CONTAINER",
        ]
    }

    private func json(_ id: String, _ package: InstalledPackage) -> JSONValue {
        var members: [(String, JSONValue)] = [("SPDXID", .string(id)), ("name", .string(package.name))]
        if !package.version.isEmpty { members.append(("versionInfo", .string(package.version))) }
        let reference: JSONValue = [
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": .string(package.url(on: inventory.distribution).text),
        ]
        members += [
            ("downloadLocation", Self.unknown), ("filesAnalyzed", false), ("licenseConcluded", Self.unknown), ("licenseDeclared", Self.unknown),
            ("copyrightText", Self.unknown), ("sourceInfo", .string("found in /\(package.source)")), ("externalRefs", [reference]),
        ]
        return .object(members)
    }

    private static func relationship(_ one: JSONValue, _ type: JSONValue, _ other: JSONValue) -> JSONValue {
        ["spdxElementId": one, "relationshipType": type, "relatedSpdxElement": other]
    }

    /// Letters, digits, dots and lines are all that may be in one.
    private static func id(of package: InstalledPackage) -> String {
        let text = [package.kind.rawValue, package.name, package.version, package.architecture, package.source].joined(separator: "\n")
        return "SPDXRef-Package-\(package.kind.rawValue)-\(Digest.sha256(of: Array(text.utf8)).hex.prefix(24))"
    }
}
