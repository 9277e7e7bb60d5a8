public import OCI

/// One repository of one registry, reachable. Each verb of the protocol has a file of its own.
public struct RepositoryClient: Sendable {
    /// Who answers: where credentials and connections belong to.
    public let origin: Origin
    let prefix: String
    /// `library/debian`
    public let path: String
    let exchange: Exchange

    /// `/v2/<path>/<rest>`
    func address(_ rest: String) -> WebAddress { WebAddress(origin: origin, path: "\(prefix)/v2/\(path)/\(rest)") }
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
