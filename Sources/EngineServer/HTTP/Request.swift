import DockerAPI
import Engine
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// One request of the Engine API, with its path already freed of `/v1.NN`.
struct Request {
    let method: HTTPMethod
    let path: String
    var query: Query
    let headers: HTTPHeaders
    /// The version the client speaks: of the path, or ours where the path names none.
    let version: APIVersion
    let body: RequestBody
    /// What the placeholders of the route stand for.
    var parameters: [String: String] = [:]
    /// Who asks has a socket for less than everything.
    var isScoped = false
    /// Who asks may not see what may be a secret.
    var hidesSecrets = false

    /// Sizes of containers: a walk through all their files, which a container cannot have the engine do.
    var wantsSizes: Bool { query.flag("size") && !isScoped }

    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// The body as one value. An absent body is refused.
    func decode<T: Decodable>(_ type: T.Type) async throws -> T {
        guard let value = try await decodeIfPresent(type) else {
            throw EngineError(.invalidArgument, "invalid JSON: got EOF while reading request body")
        }
        return value
    }

    /// The body as one value, or nil when it is empty.
    func decodeIfPresent<T: Decodable>(_ type: T.Type) async throws -> T? {
        let bytes = try await body.collect(upTo: isScoped ? 64 << 10 : 16 << 20)
        guard bytes.readableBytes > 0 else { return nil }
        let kind = headers.first(name: "content-type") ?? ""
        guard kind.lowercased().hasPrefix("application/json") else {
            throw EngineError(.invalidArgument, "unsupported Content-Type header (\(kind)): must be 'application/json'")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(PortRanges.folded(json: Array(bytes.readableBytesView))))
        } catch {
            throw EngineError(.invalidArgument, "invalid JSON: \(Self.describe(error))")
        }
    }

    private static func describe(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}

/// A version of the Engine API, for instance 1.50.
struct APIVersion: Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int

    static let current = APIVersion(major: 1, minor: 51)
    static let minimum = APIVersion(major: 1, minor: 24)

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// `1.50`; nil for anything else.
    init?(_ text: Substring) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]), major >= 0, minor >= 0 else { return nil }
        self.init(major: major, minor: minor)
    }

    static func < (left: APIVersion, right: APIVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    var description: String { "\(major).\(minor)" }
}

/// The bytes that follow the head of a request, read as the handler asks for them.
struct RequestBody: UploadSource {
    private let source: InboundParts

    init(_ source: InboundParts) {
        self.source = source
    }

    func next() async throws -> ByteBuffer? { try await source.nextBodyPart() }

    /// Everything, refused when it is more than `limit` bytes.
    func collect(upTo limit: Int) async throws -> ByteBuffer {
        var all = ByteBuffer()
        while var part = try await next() {
            guard all.readableBytes + part.readableBytes <= limit else {
                throw EngineError(.invalidArgument, "request body too large")
            }
            all.writeBuffer(&part)
        }
        return all
    }
}

/// The parts of a connection, one request after the other. Used by one task at a time.
final class InboundParts: @unchecked Sendable {  // The connection's task reads it; a handler has it on loan meanwhile.
    private var iterator: NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator
    private var atEnd = true

    init(_ stream: NIOAsyncChannelInboundStream<HTTPServerRequestPart>) {
        iterator = stream.makeAsyncIterator()
    }

    /// The head of the next request, or nil when the client has gone. What was left of the last body is skipped.
    func nextHead() async throws -> HTTPRequestHead? {
        while let part = try await iterator.next() {
            if case .head(let head) = part {
                atEnd = false
                return head
            }
        }
        return nil
    }

    func nextBodyPart() async throws -> ByteBuffer? {
        guard !atEnd else { return nil }
        switch try await iterator.next() {
        case .body(let buffer): return buffer
        default:
            atEnd = true
            return nil
        }
    }

    /// After a hijack the same parts carry the raw stream; `.end` is the client's half-close.
    func becomeRaw() {
        atEnd = false
    }
}

/// The query of a request, decoded.
struct Query {
    private var items: [(name: String, value: String)]

    init(_ text: Substring) {
        items = text.split(separator: "&").map { item in
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (Self.decode(pair[0]), pair.count > 1 ? Self.decode(pair[1]) : "")
        }
    }

    /// The first value of a name.
    subscript(_ name: String) -> String? { items.first { $0.name == name }?.value }

    func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// Docker's truth: absent, empty, `0`, `no`, `false` and `none` are false, everything else is true.
    func flag(_ name: String, default standard: Bool = false) -> Bool {
        guard let value = self[name] else { return standard }
        return !["", "0", "no", "false", "none"].contains(value.lowercased())
    }

    func integer(_ name: String) throws -> Int? {
        guard let value = self[name], !value.isEmpty else { return nil }
        guard let number = Int(value) else {
            throw EngineError(.invalidArgument, "strconv.Atoi: parsing \"\(value)\": invalid syntax")
        }
        return number
    }

    /// The `filters` parameter: `{"key":["value"]}`, or the old `{"key":{"value":true}}`.
    func filters() throws -> Filters { Filters(try filterLists()) }

    /// The same query of which only what has that label besides is answered.
    func requiring(label: String) throws -> Query {
        var lists = try filterLists()
        lists["label", default: []].append(label)
        var query = self
        query.items.removeAll { $0.name == "filters" }
        query.items.append(("filters", String(decoding: try JSONEncoder().encode(lists), as: UTF8.self)))
        return query
    }

    private func filterLists() throws -> [String: [String]] {
        guard let text = self["filters"], !text.isEmpty else { return [:] }
        let data = Data(text.utf8)
        if let lists = try? JSONDecoder().decode([String: [String]].self, from: data) {  // Tried in turn: both forms are valid.
            return lists
        }
        if let maps = try? JSONDecoder().decode([String: [String: Bool]].self, from: data) {  // As above.
            return maps.mapValues { $0.filter(\.value).map(\.key) }
        }
        throw EngineError(.invalidArgument, "invalid filter")
    }

    /// Percent-encoding and `+`, leniently: what is malformed stays as it is.
    static func decode(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
