public import NIOCore

/// One request to the engine. The path is without the version, which the client adds.
public struct EngineRequest: Sendable {
    public enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    public enum Body: Sendable {
        case none
        case bytes([UInt8], type: String)
        /// Sent in chunks as the sequence gives them; nil is the end.
        case stream(type: String, next: @Sendable () async throws -> ByteBuffer?)

        var canBeSentAgain: Bool {
            if case .stream = self { false } else { true }
        }
    }

    public var method: Method
    public var path: String
    public var query: [(String, String)]
    public var body: Body
    /// Beside those that the client sets by itself.
    public var headers: [(String, String)] = []

    public init(_ method: Method, _ path: String, query: [(String, String)] = [], body: Body = .none) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
    }

    /// The request target: path and query with everything escaped that may not stand there.
    func target(version: String) -> String {
        let prefix = version.isEmpty ? "" : "/v\(version)"
        guard !query.isEmpty else { return prefix + path }
        let pairs = query.map { "\(Self.escaped($0.0))=\(Self.escaped($0.1))" }
        return "\(prefix)\(path)?\(pairs.joined(separator: "&"))"
    }

    /// Percent-encodes one path component or query value.
    public static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
