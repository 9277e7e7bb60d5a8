/// Where an engine listens.
public enum EngineAddress: Sendable, Equatable, CustomStringConvertible {
    case unix(path: String)
    case tcp(host: String, port: Int)

    /// Reads `unix:///path`, `tcp://host:port` and `http://host:port`.
    public init(_ text: String) throws {
        if let path = text.suffix(after: "unix://"), !path.isEmpty {
            self = .unix(path: path)
        } else if let rest = text.suffix(after: "tcp://") ?? text.suffix(after: "http://") {
            self = try Self.tcp(rest, text)
        } else {
            throw EngineConnectionError(.other, "unable to parse docker host `\(text)`")
        }
    }

    private static func tcp(_ hostAndPort: String, _ text: String) throws -> EngineAddress {
        let trimmed = hostAndPort.prefix { $0 != "/" }
        guard let colon = trimmed.lastIndex(of: ":"), !trimmed.hasSuffix("]") else {
            return .tcp(host: trimmed.isEmpty ? "127.0.0.1" : unbracketed(trimmed), port: 2375)
        }
        guard let port = UInt16(trimmed[trimmed.index(after: colon)...]) else {
            throw EngineConnectionError(.other, "unable to parse docker host `\(text)`")
        }
        let host = unbracketed(trimmed[..<colon])
        return .tcp(host: host.isEmpty ? "127.0.0.1" : host, port: Int(port))
    }

    private static func unbracketed(_ host: Substring) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    public var description: String {
        switch self {
        case .unix(let path): "unix://\(path)"
        case .tcp(let host, let port): host.contains(":") ? "tcp://[\(host)]:\(port)" : "tcp://\(host):\(port)"
        }
    }
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
