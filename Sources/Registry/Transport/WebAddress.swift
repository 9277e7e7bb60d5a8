import OCI

/// Who answers at an address: credentials belong to an origin and to no other one.
public struct Origin: Sendable, Hashable, CustomStringConvertible {
    /// `https` or `http`.
    public let scheme: String
    /// In lower case; an IPv6 address without its brackets.
    public let host: String
    public let port: Int

    public init(scheme: String, host: String, port: Int) {
        self.scheme = scheme
        self.host = host.lowercased()
        self.port = port
    }

    public var description: String { "\(scheme)://\(authority)" }

    /// As `Host` headers have it: without the port that goes without saying.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (scheme == "https" ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The host and its port as certificates and lists of registries name it.
    var hostAndPort: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// `localhost`, 127.0.0.0/8 and ::1.
    var isLoopback: Bool { Self.isLoopback(host) }

    static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// An http or https address, as far as registries need one. User names and fragments are refused.
public struct WebAddress: Sendable, Hashable, CustomStringConvertible {
    public let origin: Origin
    /// Begins with a slash.
    public let path: String
    /// Without the question mark; nil when there is none.
    public let query: String?

    public init(origin: Origin, path: String, query: String? = nil) {
        self.origin = origin
        self.path = path.hasPrefix("/") ? path : "/\(path)"
        self.query = query
    }

    /// Reads an absolute address.
    public init?(_ text: String) {
        guard text.utf8.count <= 16384, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        guard let colon = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return nil }
        let rest = text[colon.upperBound...].prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard let origin = Self.origin(scheme, authority) else { return nil }
        let (path, query) = Self.split(rest[authority.endIndex...])
        self.init(origin: origin, path: path, query: query)
    }

    /// Of the registry for the images of a domain. The host of Docker's own has another name than its images.
    static func ofRegistry(_ domain: String) -> WebAddress {
        let host = ["docker.io", "index.docker.io"].contains(domain) ? "registry-1.docker.io" : domain
        return WebAddress("https://\(host)/") ?? WebAddress(origin: Origin(scheme: "https", host: host, port: 443), path: "/")
    }

    /// The address that a `Location` header means when it comes with an answer from here.
    public func resolving(_ location: String) -> WebAddress? {
        if location.contains("://") { return WebAddress(location) }
        guard location.utf8.count <= 16384, location.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !location.isEmpty else { return nil }
        if location.hasPrefix("//") { return WebAddress("\(origin.scheme):\(location)") }
        let text = location.prefix { $0 != "#" }
        if text.hasPrefix("/") {
            let (path, query) = Self.split(text)
            return WebAddress(origin: origin, path: path, query: query)
        }
        if text.hasPrefix("?") { return WebAddress(origin: origin, path: path, query: String(text.dropFirst())) }
        let folder = path[...(path.lastIndex(of: "/") ?? path.startIndex)]
        let (relative, query) = Self.split(text)
        return WebAddress(origin: origin, path: folder + relative, query: query)
    }

    /// The same with one more pair in the query.
    func adding(_ name: String, _ value: String) -> WebAddress {
        let pair = "\(name.percentEncoded())=\(value.percentEncoded())"
        return WebAddress(origin: origin, path: path, query: query.map { $0.isEmpty ? pair : "\($0)&\(pair)" } ?? pair)
    }

    public var description: String { "\(origin)\(path)\(query.map { "?\($0)" } ?? "")" }

    /// Without the query, which may carry a signature: for messages.
    var shown: String { "\(origin)\(path)" }

    private static func split(_ text: Substring) -> (String, String?) {
        guard let mark = text.firstIndex(of: "?") else { return (text.isEmpty ? "/" : String(text), nil) }
        let path = text[..<mark]
        return (path.isEmpty ? "/" : String(path), String(text[text.index(after: mark)...]))
    }

    /// `host`, `host:port` and `[address]:port`; no user, no password.
    private static func origin(_ scheme: String, _ authority: Substring) -> Origin? {
        guard !authority.contains("@") else { return nil }
        let usual = scheme == "https" ? 443 : 80
        var host = authority
        var port = usual
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else { return nil }
            host = authority[..<colon]
            port = number
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "\\") }) else { return nil }
        return Origin(scheme: scheme, host: String(host), port: port)
    }
}
