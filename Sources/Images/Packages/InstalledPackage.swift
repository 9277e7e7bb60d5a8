/// A package that an image says it has.
public struct InstalledPackage: Sendable, Hashable {
    /// What has installed it, by its name in package URLs.
    public enum Kind: String, Sendable {
        case debian = "deb"
        case alpine = "apk"
        case python = "pypi"
        case node = "npm"
        case go = "golang"
    }

    public var kind: Kind
    public var name: String
    public var version: String
    /// Empty where the kind has none.
    public var architecture = ""
    /// The file that tells of it, without a slash in front.
    public var source: String

    /// Nil for what cannot be a package's name and version: an image can say anything.
    init?(_ kind: Kind, _ name: Substring, _ version: Substring, architecture: Substring = "", source: String) {
        let isSmall = (1...256).contains(name.utf8.count) && version.utf8.count <= 256 && architecture.utf8.count <= 64
        let texts = [String(name), String(version), String(architecture)]
        guard isSmall, texts.allSatisfy({ $0.unicodeScalars.allSatisfy { $0.value > 32 && $0.value != 127 } }) else { return nil }
        (self.kind, self.name, self.version, self.architecture, self.source) = (kind, texts[0], texts[1], texts[2], source)
    }

    public func url(on distribution: Distribution) -> PackageURL {
        switch kind {
        case .debian, .alpine:
            return PackageURL(
                type: kind.rawValue, namespace: [distribution.id ?? (kind == .debian ? "debian" : "alpine")], name: name, version: version,
                qualifiers: ["arch": architecture, "distro": distribution.text])
        case .python: return PackageURL(type: kind.rawValue, name: Self.pythonName(name), version: version)
        case .node, .go:
            // Of Go's there is one spelling, too.
            let parts = (kind == .go ? name.lowercased() : name).split(separator: "/").map(String.init)
            return PackageURL(type: kind.rawValue, namespace: Array(parts.dropLast()), name: parts.last ?? name, version: version)
        }
    }

    /// One spelling for all: `Foo_Bar` is `foo-bar`.
    private static func pythonName(_ name: String) -> String { name.lowercased().replacing("_", with: "-") }
}

/// What an image says that it is, in `/etc/os-release`.
public struct Distribution: Sendable, Hashable {
    /// `debian`
    public var id: String?
    /// `12`
    public var version: String?

    public init(id: String? = nil, version: String? = nil) {
        self.id = id
        self.version = version
    }

    /// `debian-12`; empty when the image does not say it.
    public var text: String { id.map { id in version.map { "\(id)-\($0)" } ?? id } ?? "" }

    /// Lines of a shell that only set variables.
    init(osRelease text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let value = line[line.index(after: equals)...].trimmingQuotes()
            let isWord = (1...64).contains(value.utf8.count) && value.utf8.allSatisfy { (33...126).contains($0) }
            switch line[..<equals] {
            case "ID" where isWord: id = value
            case "VERSION_ID" where isWord: version = value
            default: continue
            }
        }
    }
}

extension Substring {
    fileprivate func trimmingQuotes() -> String {
        guard count >= 2, let first, first == last, first == "\"" || first == "'" else { return String(self) }
        return String(dropFirst().dropLast())
    }
}
