/// What stands before the body of a request.
struct RequestHead: Sendable {
    let method: EngineRequest.Method
    let target: String
    private(set) var headers: [(String, String)]

    /// `extra` are the user's own headers, which take the place of ours.
    init(_ request: EngineRequest, version: String, hijacks: Bool, extra: [(String, String)]) throws {
        method = request.method
        target = request.target(version: version)
        headers = [("Host", "skiff"), ("User-Agent", "skiff")]
        headers += hijacks ? [("Connection", "Upgrade"), ("Upgrade", "tcp")] : [("Connection", "close")]
        for (name, value) in extra {
            headers.removeAll { $0.0.lowercased() == name.lowercased() }
            headers.append((name, value))
        }
        headers += request.headers
        switch request.body {
        case .none:
            if method == .post || method == .put { headers.append(("Content-Length", "0")) }
        case .bytes(let bytes, let type):
            headers += [("Content-Type", type), ("Content-Length", String(bytes.count))]
        case .stream(let type, _):
            headers += [("Content-Type", type), ("Transfer-Encoding", "chunked")]
        }
        // What a line cannot hold would begin another one.
        guard target.utf8.allSatisfy({ $0 > 32 && $0 != 127 }) else {
            throw EngineConnectionError(.other, "invalid character in the path or version of the request")
        }
        if let wrong = headers.first(where: { ($0.0 + $0.1).utf8.contains { $0 == 10 || $0 == 13 || $0 == 0 } }) {
            throw EngineConnectionError(.other, "invalid header field value for \"\(wrong.0)\"")
        }
    }

    /// As it goes over the wire (RFC 9112, section 3).
    var bytes: [UInt8] {
        var text = "\(method.rawValue) \(target) HTTP/1.1\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}
