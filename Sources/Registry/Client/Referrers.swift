import FoundationEssentials
import NIOHTTP1
public import OCI

extension RepositoryClient {
    /// What refers to a manifest (signatures, attestations, lists of contents), all of it or of one type. A registry that
    /// does not know the question is asked for the index that clients keep under a tag in its place.
    public func referrers(_ digest: Digest, artifactType: String? = nil) async throws -> [Descriptor] {
        var next: WebAddress? = address("referrers/\(digest)")
        if let artifactType { next = next?.adding("artifactType", artifactType) }
        var found: [Descriptor] = []
        while let address = next {
            let call = Call(method: .GET, address: address, headers: ["Accept": MediaType.index])
            let answer: Answer
            do {
                answer = try await exchange.send(call, expecting: [200])
            } catch let error as RegistryError where error.kind == .notFound {
                return try await taggedReferrers(digest, artifactType)
            }
            let bytes = try await Body.collect(answer.response, limit: Self.manifestLimit, .GET, answer.address)
            guard case .index(let index) = try ManifestDocument(bytes, contentType: answer.header("Content-Type"), repository: path) else {
                throw RegistryError(.invalidReply, "\(address.shown) gave no index")
            }
            found += index.manifests
            next = index.manifests.isEmpty ? nil : try Self.next(answer, origin)
        }
        return Self.filtered(found, artifactType)
    }

    private func taggedReferrers(_ digest: Digest, _ artifactType: String?) async throws -> [Descriptor] {
        do {
            let tag = "\(digest.algorithm.rawValue)-\(digest.hex.prefix(64))"
            guard case .index(let index) = try await manifest(.tag(tag)).document else { return [] }
            return Self.filtered(index.manifests, artifactType)
        } catch let error as RegistryError where error.kind == .notFound {
            return []
        }
    }

    private static func filtered(_ descriptors: [Descriptor], _ artifactType: String?) -> [Descriptor] {
        artifactType.map { type in descriptors.filter { $0.artifactType == type } } ?? descriptors
    }
}
