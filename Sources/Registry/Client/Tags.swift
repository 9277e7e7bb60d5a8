import FoundationEssentials
import NIOHTTP1

extension RepositoryClient {
    private static let pageLimit = 8 << 20
    private static let mostTags = 100_000
    private static let mostBytes = 32 << 20

    private struct Page: Decodable {
        var tags: [String]?
    }

    /// All tags of the repository, page by page.
    public func tags() async throws -> [String] {
        var tags: [String] = []
        var total = 0
        var next: WebAddress? = address("tags/list")
        while let address = next {
            let answer = try await exchange.send(Call(method: .GET, address: address), expecting: [200])
            let bytes = try await Body.collect(answer.response, limit: Self.pageLimit, .GET, answer.address)
            total += bytes.count
            guard let page = try? JSONDecoder().decode(Page.self, from: Data(bytes)) else {  // Its text would help nobody.
                throw RegistryError(.invalidReply, "\(address.shown) gave no list of tags")
            }
            let found = page.tags ?? []
            tags += found
            guard tags.count <= Self.mostTags, total <= Self.mostBytes else {
                throw RegistryError(.invalidReply, "\(address.shown) has too many tags")
            }
            next = found.isEmpty ? nil : try Self.next(answer, origin)
        }
        return tags
    }

    /// `Link: </v2/…?last=x>; rel="next"`, at the same registry.
    static func next(_ answer: Answer, _ origin: Origin) throws -> WebAddress? {
        guard let link = answer.header("Link"), link.contains("rel=\"next\"") || link.contains("rel=next"),
            let start = link.firstIndex(of: "<"), let end = link[start...].firstIndex(of: ">")
        else { return nil }
        guard let next = answer.address.resolving(String(link[link.index(after: start)..<end])), next.origin == origin else {
            throw RegistryError(.invalidReply, "\(answer.address.shown) names a next page elsewhere")
        }
        return next
    }
}
