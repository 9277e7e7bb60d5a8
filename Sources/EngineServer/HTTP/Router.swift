import NIOHTTP1

/// Finds the handler of a request by method and path.
///
/// A pattern is a path with placeholders: `{id}` is one segment, `{name...}` one or more (image names contain slashes).
struct Router: Sendable {
    typealias Handler = @Sendable (Request) async throws -> Response

    private struct Route: Sendable {
        let method: HTTPMethod
        let pattern: String
        let segments: [Substring]
        let handler: Handler
    }

    /// The route of a request.
    struct Match {
        /// As it was registered.
        let pattern: String
        let handler: Handler
        /// What its placeholders stand for.
        let parameters: [String: String]
    }

    private var routes: [Route] = []

    mutating func on(_ method: HTTPMethod, _ pattern: String, _ handler: @escaping Handler) {
        routes.append(Route(method: method, pattern: pattern, segments: Self.split(pattern), handler: handler))
    }

    /// The first route that fits.
    func find(_ method: HTTPMethod, _ path: String) -> Match? {
        let segments = Self.split(path)
        for route in routes where route.method == method {
            if let parameters = Self.match(route.segments[...], segments[...]) {
                return Match(pattern: route.pattern, handler: route.handler, parameters: parameters)
            }
        }
        return nil
    }

    private static func split(_ path: String) -> [Substring] {
        path.split(separator: "/", omittingEmptySubsequences: true)
    }

    private static func match(_ pattern: ArraySlice<Substring>, _ path: ArraySlice<Substring>) -> [String: String]? {
        guard let first = pattern.first else { return path.isEmpty ? [:] : nil }
        guard first.hasPrefix("{") else {
            return path.first == first ? match(pattern.dropFirst(), path.dropFirst()) : nil
        }
        let many = first.hasSuffix("...}")
        let name = String(first.dropFirst().dropLast(many ? 4 : 1))
        guard !path.isEmpty else { return nil }
        for count in many ? Array(1...path.count).reversed() : [1] {
            guard var rest = match(pattern.dropFirst(), path.dropFirst(count)) else { continue }
            rest[name] = Query.decode(path.prefix(count).joined(separator: "/"))
            return rest
        }
        return nil
    }
}
