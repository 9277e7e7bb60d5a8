/// Which proxy stands between us and a host, as `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` tell it (in either case).
public struct ProxySettings: Sendable, Equatable {
    /// One proxy; its credentials go to it alone.
    public struct Proxy: Sendable, Hashable {
        public let host: String
        public let port: Int
        let authorization: Secret?
    }

    private let http: Proxy?
    private let https: Proxy?
    private let exceptions: [String]

    public init(environment: [String: String]) {
        func value(_ name: String) -> String { environment[name.lowercased()] ?? environment[name] ?? "" }
        // CGI programs get a request's Proxy header under this name (CVE-2016-5385), so it does not count there.
        http = environment["REQUEST_METHOD"] == nil ? Self.proxy(value("HTTP_PROXY")) : nil
        https = Self.proxy(value("HTTPS_PROXY"))
        exceptions = value("NO_PROXY").split(separator: ",").map { entry in
            entry.filter { $0 != " " }.lowercased()
        }
    }

    /// The proxy for an origin; nil is the direct way.
    public func proxy(for origin: Origin) -> Proxy? {
        guard !origin.isLoopback, !exceptions.contains(where: { Self.matches($0, origin) }) else { return nil }
        return origin.scheme == "https" ? https : http
    }

    private static func matches(_ exception: String, _ origin: Origin) -> Bool {
        if exception == "*" { return true }
        if let block = AddressBlock(exception), block.contains(origin.host) { return true }
        var name = exception
        if let colon = name.lastIndex(of: ":"), let port = Int(name[name.index(after: colon)...]), name.first != "[" {
            guard port == origin.port else { return false }
            name = String(name[..<colon])
        }
        if name.hasPrefix("*") { name.removeFirst() }
        if name.hasPrefix(".") { return origin.host.hasSuffix(name) || origin.host == name.dropFirst() }
        return !name.isEmpty && (origin.host == name || origin.host.hasSuffix(".\(name)"))
    }

    /// `http://user:password@host:port`, `host:port`.
    private static func proxy(_ text: String) -> Proxy? {
        guard !text.isEmpty else { return nil }
        var rest = text[...]
        if let mark = rest.firstRange(of: "://") { rest = rest[mark.upperBound...] }
        rest = rest.prefix { $0 != "/" }
        var authorization: Secret?
        if let at = rest.lastIndex(of: "@") {
            authorization = Secret(unescaped(rest[..<at]))
            rest = rest[rest.index(after: at)...]
        }
        guard let address = WebAddress("http://\(rest)") else { return nil }
        return Proxy(host: address.origin.host, port: address.origin.port, authorization: authorization)
    }

    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A range of IPv4 addresses: `10.0.0.0/8`, or one address.
struct AddressBlock: Sendable, Equatable {
    private let address: UInt32
    private let mask: UInt32

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = Self.number(parts[0]) else { return nil }
        let bits = parts.count == 2 ? Int(parts[1]) : 32
        guard let bits, (0...32).contains(bits) else { return nil }
        mask = bits == 0 ? 0 : ~UInt32(0) << UInt32(32 - bits)
        self.address = address & mask
    }

    func contains(_ host: String) -> Bool {
        Self.number(host[...]).map { $0 & mask == address } ?? false
    }

    private static func number(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard let byte = UInt8(part) else { return nil }
            number = number << 8 | UInt32(byte)
        }
        return number
    }
}
