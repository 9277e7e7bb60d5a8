public import NIOCore
import OCI

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
    public static func escaped(_ text: String) -> String { text.percentEncoded() }
}
