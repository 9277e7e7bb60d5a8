/// Where an engine listens.
public enum EngineAddress: Sendable, Equatable, CustomStringConvertible {
    case unix(path: String)
    case tcp(host: String, port: Int)
    /// A machine whose engine is reached by way of ssh(1); `socket` is its engine's where it is not the usual one.
    case ssh(user: String?, host: String, port: Int?, socket: String?)

    /// Reads `unix:///path`, `tcp://host:port`, `http://host:port` and `ssh://user@host:port`.
    public init(_ text: String) throws {
        if let path = text.suffix(after: "unix://"), !path.isEmpty {
            self = .unix(path: path)
        } else if let rest = text.suffix(after: "tcp://") ?? text.suffix(after: "http://") {
            self = try Self.tcp(rest, text)
        } else if let rest = text.suffix(after: "ssh://") {
            self = try Self.ssh(rest, text)
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

    /// What ssh would take for an option, or a shell for more than a name, is no host.
    private static func ssh(_ rest: String, _ text: String) throws -> EngineAddress {
        let failure = EngineConnectionError(.other, "unable to parse docker host `\(text)`")
        var place = rest.prefix { $0 != "/" }
        let path = String(rest[place.endIndex...])
        var user: String?
        if let at = place.lastIndex(of: "@") {
            user = String(place[..<at])
            guard let user, isPlain(user), !user.contains(":") else { throw failure }
            place = place[place.index(after: at)...]
        }
        var port: Int?
        if let colon = place.lastIndex(of: ":"), !place.hasSuffix("]") {
            guard let number = UInt16(place[place.index(after: colon)...]) else { throw failure }
            port = Int(number)
            place = place[..<colon]
        }
        let host = unbracketed(place)
        // The other machine's shell reads the path.
        guard isPlain(host), path.isEmpty || isPlain(path.replacing("/", with: "_")) else { throw failure }
        return .ssh(user: user, host: host, port: port, socket: path.count > 1 ? path : nil)
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "-") else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 48...57, 65...90, 97...122: true
            default: "-._:%".utf8.contains(byte)
            }
        }
    }

    private static func unbracketed(_ host: Substring) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
    }

    public var description: String {
        switch self {
        case .unix(let path): "unix://\(path)"
        case .tcp(let host, let port): host.contains(":") ? "tcp://[\(host)]:\(port)" : "tcp://\(host):\(port)"
        case .ssh(let user, let host, let port, let socket):
            "ssh://" + (user.map { "\($0)@" } ?? "") + (host.contains(":") ? "[\(host)]" : host) + (port.map { ":\($0)" } ?? "") + (socket ?? "")
        }
    }
}

extension String {
    fileprivate func suffix(after prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
