/// Why a registry did not do what it was asked for: a kind to decide by, and the text of the registry where it gave one.
public struct RegistryError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The credentials are missing, wrong or have run out.
        case unauthorized
        /// The credentials are known and do not suffice, or the registry does not tell whether there is such a thing.
        case denied
        /// There is no such repository, manifest or blob.
        case notFound
        /// Too many requests, or the registry is out of order for now. It was tried several times.
        case unavailable
        /// Any other status of failure.
        case refused
        /// The answer breaks the protocol, or its content is not what its digest or size says.
        case invalidReply
        /// The connection broke off or brought nothing.
        case connection
        /// Nobody is there: no such host, nobody listens, or somebody whose certificate is not trusted.
        case unreachable
        /// What is asked for is understood and not supported.
        case unsupported
    }

    public let kind: Kind
    /// The registry's own code: `MANIFEST_UNKNOWN`.
    public let code: String?
    /// Without any secret.
    public let message: String
    /// The HTTP status, if one came.
    public let status: Int?

    public init(_ kind: Kind, _ message: String, code: String? = nil, status: Int? = nil) {
        self.kind = kind
        self.message = message
        self.code = code
        self.status = status
    }

    public var description: String { message }

    /// Whether another try may go better.
    public var isTransient: Bool { isConnection || kind == .unavailable }

    /// No answer came, or not all of one.
    var isConnection: Bool { kind == .connection || kind == .unreachable }
}
