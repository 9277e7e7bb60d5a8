/// The name of an image as Docker understands it: `debian` means `docker.io/library/debian`.
///
/// A tag and a digest may be present, one, both or neither. Made only from valid text.
public struct Reference: Sendable, Hashable, CustomStringConvertible {
    /// Where the image comes from: `docker.io`, `registry.example:5000`.
    public let domain: String
    /// The repository below the domain: `library/debian`.
    public let path: String
    public let tag: String?
    public let digest: Digest?

    /// The domain that Docker leaves out, and the folder of its own images.
    static let defaultDomain = "docker.io"
    static let officialPrefix = "library/"

    public init(_ text: String) throws {
        guard text.utf8.count <= 1024 else { throw ReferenceError.invalidFormat }
        if text.utf8.count == 64, text.utf8.allSatisfy(isLowerHex) { throw ReferenceError.looksLikeID(text) }
        var rest = Substring(text)
        if let at = rest.firstIndex(of: "@") {
            guard let digest = try? Digest(String(rest[rest.index(after: at)...])) else {
                throw ReferenceError.invalidFormat  // The digest's own message would hide which part was wrong.
            }
            self.digest = digest
            rest = rest[..<at]
        } else {
            digest = nil
        }
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/"), !rest[colon...].contains("]") {
            let tag = rest[rest.index(after: colon)...]
            guard Self.isTag(tag) else { throw ReferenceError.invalidFormat }
            self.tag = String(tag)
            rest = rest[..<colon]
        } else {
            tag = nil
        }
        (domain, path) = try Self.splitName(rest)
    }

    private init(domain: String, path: String, tag: String?, digest: Digest?) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
    }

    /// `docker.io/library/debian:bookworm`
    public var description: String { "\(name)\(suffix)" }

    /// The name without tag and digest: `docker.io/library/debian`.
    public var name: String { "\(domain)/\(path)" }

    /// The name as people write it: `debian`, `me/app`, `registry.example/app`.
    public var familiarName: String {
        guard domain == Self.defaultDomain else { return name }
        if path.hasPrefix(Self.officialPrefix) {
            let short = path.dropFirst(Self.officialPrefix.count)
            if !short.contains("/") { return String(short) }
        }
        return path
    }

    /// The same with tag and digest: `debian:bookworm`.
    public var familiarString: String { "\(familiarName)\(suffix)" }

    private var suffix: String { (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "") }

    /// Adds `latest` where neither tag nor digest is named.
    public func withDefaultTag() -> Reference {
        tag == nil && digest == nil ? withTag("latest") : self
    }

    /// The same name with another tag, which must be valid, and no digest.
    private func withTag(_ tag: String) -> Reference {
        Reference(domain: domain, path: path, tag: tag, digest: nil)
    }

    /// The same name with only this digest.
    public func with(_ digest: Digest) -> Reference {
        Reference(domain: domain, path: path, tag: nil, digest: digest)
    }
}

/// Why a text is no reference, in Docker's words.
public enum ReferenceError: Error, Sendable, Equatable, CustomStringConvertible {
    case invalidFormat
    case uppercase(String)
    case looksLikeID(String)
    case nameTooLong

    public var description: String {
        switch self {
        case .invalidFormat: "invalid reference format"
        case .uppercase(let path): "invalid reference format: repository name (\(path)) must be lowercase"
        case .looksLikeID(let text):
            "invalid repository name (\(text)), cannot specify 64-byte hexadecimal strings"
        case .nameTooLong: "repository name must not be more than 255 characters"
        }
    }
}

// MARK: The grammar of https://github.com/distribution/reference

extension Reference {
    private static func splitName(_ text: Substring) throws -> (domain: String, path: String) {
        var domain = defaultDomain
        var path = String(text)
        if let slash = text.firstIndex(of: "/") {
            let first = text[..<slash]
            // As Docker decides: only what cannot be a folder on the default domain is a host.
            if first.contains(where: { $0 == "." || $0 == ":" }) || first == "localhost" || first.lowercased() != first {
                domain = String(first)
                path = String(text[text.index(after: slash)...])
            }
        }
        if domain == "index.docker.io" { domain = defaultDomain }
        if domain == defaultDomain, !path.contains("/") { path = officialPrefix + path }
        guard !path.contains(where: \.isUppercase) else { throw ReferenceError.uppercase(path) }
        guard isDomain(Substring(domain)), isPath(path) else { throw ReferenceError.invalidFormat }
        guard path.utf8.count <= 255 else { throw ReferenceError.nameTooLong }
        return (domain, path)
    }

    /// `[\w][\w.-]{0,127}`
    static func isTag(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 128 else { return false }
        return isWord(first) && text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    private static func isPath(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy(isPathComponent)
    }

    /// Lowercase letters and digits, with single separators between: `.`, `_`, `__` or any number of `-`.
    private static func isPathComponent(_ text: Substring) -> Bool {
        var separator: [UInt8] = []
        var sawLetter = false
        for byte in text.utf8 {
            if isLowerAlphanumeric(byte) {
                guard separator.isEmpty || (sawLetter && isSeparator(separator)) else { return false }
                sawLetter = true
                separator = []
            } else {
                separator.append(byte)
            }
        }
        return sawLetter && separator.isEmpty
    }

    private static func isSeparator(_ bytes: [UInt8]) -> Bool {
        bytes == [UInt8(ascii: ".")] || bytes == [UInt8(ascii: "_")]
            || bytes == [UInt8(ascii: "_"), UInt8(ascii: "_")] || bytes.allSatisfy { $0 == UInt8(ascii: "-") }
    }

    private static func isDomain(_ text: Substring) -> Bool {
        var host = text
        if let colon = text.lastIndex(of: ":"), !text[colon...].contains("]") {
            let port = text[text.index(after: colon)...]
            guard (1...5).contains(port.utf8.count), port.utf8.allSatisfy(isDigit) else { return false }
            host = text[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = host.dropFirst().dropLast()
            return !address.isEmpty && address.utf8.allSatisfy { isHex($0) || $0 == UInt8(ascii: ":") }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == UInt8(ascii: "_") }

    private static func isHex(_ byte: UInt8) -> Bool {
        isLowerHex(byte) || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    }
}

extension Reference: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            try self.init(text)
        } catch {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(error)")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
