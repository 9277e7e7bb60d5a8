public import OCI

/// One repository of one registry, reachable. Each verb of the protocol has a file of its own.
public struct RepositoryClient: Sendable {
    /// Who answers: where credentials and connections belong to.
    public let origin: Origin
    /// `/v2`, mostly.
    let root: String
    /// `library/debian`
    public let path: String
    /// The domain for which a mirror is asked, who may be the mirror of several.
    let namespace: String?
    let exchange: Exchange

    /// `/v2/<path>/<rest>`
    func address(_ rest: String) -> WebAddress {
        let address = WebAddress(origin: origin, path: "\(root)/\(path)/\(rest)")
        return namespace.map { address.adding("ns", $0) } ?? address
    }
}

/// What is asked for in a repository: a name that can be moved, or exact content.
public enum ManifestName: Sendable, Equatable, CustomStringConvertible {
    case tag(String)
    case digest(Digest)

    /// The digest of a reference if it has one, otherwise its tag, otherwise `latest`.
    public init(_ reference: Reference) {
        self = reference.digest.map { .digest($0) } ?? .tag(reference.tag ?? "latest")
    }

    public var description: String {
        switch self {
        case .tag(let tag): tag
        case .digest(let digest): digest.description
        }
    }
}
