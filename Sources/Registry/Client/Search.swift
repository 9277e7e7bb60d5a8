import FoundationEssentials
import NIOHTTP1

/// One repository that a search has found.
public struct FoundRepository: Sendable, Equatable, Decodable {
    public var name: String
    public var description: String?
    public var stars: Int?
    public var isOfficial: Bool?
    public var isAutomated: Bool?

    enum CodingKeys: String, CodingKey {
        case name, description
        case stars = "star_count"
        case isOfficial = "is_official"
        case isAutomated = "is_automated"
    }
}

extension Registries {
    private static let searchLimit = 8 << 20

    private struct SearchAnswer: Decodable { var results: [FoundRepository]? }
    private struct Catalog: Decodable { var repositories: [String]? }

    /// `docker search`: asks the old search of a registry, or looks through the names of all of its repositories when it
    /// has none. `term` may begin with the host.
    public func search(_ term: String, limit: Int, _ credentials: RegistryCredentials) async throws -> [FoundRepository] {
        let (domain, words) = Self.searched(term)
        let origin = domain == "docker.io" ? Origin(scheme: "https", host: "index.docker.io", port: 443) : Self.origin(domain)
        var candidates = [origin]
        if try Trust.allowsPlain(origin, configuration) {
            candidates.append(Origin(scheme: "http", host: origin.host, port: origin.port == 443 ? 80 : origin.port))
        }
        var failure: any Error = RegistryError(.connection, "nobody to ask")
        for origin in candidates {
            do {
                return try await search(words, limit, at: origin, domain, credentials)
            } catch let error as RegistryError where error.isConnection {
                failure = error
            }
        }
        throw failure
    }

    /// The host and what is looked for there.
    static func searched(_ term: String) -> (domain: String, words: String) {
        guard let slash = term.firstIndex(of: "/") else { return ("docker.io", term) }
        let first = term[..<slash]
        guard first.contains(".") || first.contains(":") || first == "localhost" else { return ("docker.io", term) }
        let words = String(term[term.index(after: slash)...])
        return (["index.docker.io", "docker.io"].contains(first) ? "docker.io" : String(first), words)
    }

    private func search(_ words: String, _ limit: Int, at origin: Origin, _ domain: String, _ credentials: RegistryCredentials) async throws
        -> [FoundRepository]
    {
        func exchange(_ scopes: Set<String>) -> Exchange {
            let authorizer = Authorizer(
                origin: origin, credentials: credentials, transport: transport, trustedHosts: configuration.authenticationHosts[domain] ?? [])
            return Exchange(transport: transport, authorizer: authorizer, scopes: scopes)
        }
        let address = WebAddress(origin: origin, path: "/v1/search").adding("q", words).adding("n", "\(limit)")
        var call = Call(method: .GET, address: address)
        call.isRepeatable = false
        do {
            let answer = try await exchange([]).send(call, expecting: [200])
            let bytes = try await Body.collect(answer.response, limit: Self.searchLimit, .GET, answer.address)
            return Array((try JSONDecoder().decode(SearchAnswer.self, from: Data(bytes)).results ?? []).prefix(limit))
        } catch let error as RegistryError where error.kind == .notFound && domain != "docker.io" {
            return try await catalogue(containing: words, limit, exchange(["registry:catalog:*"]), origin)
        }
    }

    private func catalogue(containing words: String, _ limit: Int, _ exchange: Exchange, _ origin: Origin) async throws -> [FoundRepository] {
        var found: [FoundRepository] = []
        var next: WebAddress? = WebAddress(origin: origin, path: "/v2/_catalog").adding("n", "1000")
        for _ in 0..<100 {
            guard let address = next, found.count < limit else { break }
            let answer = try await exchange.send(Call(method: .GET, address: address), expecting: [200])
            let bytes = try await Body.collect(answer.response, limit: Self.searchLimit, .GET, answer.address)
            let names = try JSONDecoder().decode(Catalog.self, from: Data(bytes)).repositories ?? []
            found += names.filter { $0.contains(words) }.map { FoundRepository(name: $0, description: "") }
            next = names.isEmpty ? nil : try RepositoryClient.next(answer, origin)
        }
        return Array(found.prefix(limit))
    }
}
