public import NIOCore
public import OCI

/// All registries, as the operator has set them up: finds the places to ask for an image and keeps the connections.
public final class Registries: Sendable {
    public let configuration: RegistryConfiguration
    let transport: Transport

    /// `shutdown` has to be called before the last owner lets go.
    public init(_ configuration: RegistryConfiguration, group: any EventLoopGroup) {
        self.configuration = configuration
        transport = Transport(configuration, group: group)
    }

    /// Closes the connections that are kept for later requests.
    public func shutdown() async throws { try await transport.shutdown() }

    /// What is done in a repository, as its scope names it.
    public enum Access: String, Sendable {
        case pull
        case push = "pull,push"
    }

    /// Where an image can be pulled from, in the order to try: the mirrors of its registry, then the registry.
    public func sources(of reference: Reference, _ credentials: RegistryCredentials) -> [RepositorySource] {
        let mirrors = (configuration.mirrors[reference.domain] ?? []).map { mirror in
            RepositorySource(
                registries: self, domain: reference.domain, path: reference.path, origin: mirror.address.origin,
                prefix: mirror.address.path, credentials: mirror.credentials, isMirror: true)
        }
        return mirrors + [registry(of: reference, credentials)]
    }

    /// The registry of an image itself.
    public func registry(of reference: Reference, _ credentials: RegistryCredentials) -> RepositorySource {
        RepositorySource(
            registries: self, domain: reference.domain, path: reference.path, origin: Self.origin(reference.domain), prefix: "",
            credentials: credentials, isMirror: false)
    }

    /// The host of Docker's own registry has another name than its images.
    static func origin(_ domain: String) -> Origin {
        let host = ["docker.io", "index.docker.io"].contains(domain) ? "registry-1.docker.io" : domain
        return WebAddress("https://\(host)/")?.origin ?? Origin(scheme: "https", host: host, port: 443)
    }
}

/// A repository at one place, before anybody was asked there.
public struct RepositorySource: Sendable {
    let registries: Registries
    let domain: String
    let path: String
    let origin: Origin
    /// In front of `/v2/`.
    let prefix: String
    let credentials: RegistryCredentials
    public let isMirror: Bool

    /// `registry.example:5000`, for messages.
    public var host: String { origin.authority }

    /// Asks whether somebody is there who speaks the protocol. A host that may do without is tried with TLS first, then
    /// without.
    public func connect(for access: Registries.Access) async throws -> RepositoryClient {
        let secure = client(origin, access)
        let plainAllowed = try Trust.allowsPlain(origin, registries.configuration)
        if origin.scheme == "https", !plainAllowed {
            try await secure.ping()
            return secure
        }
        if origin.scheme == "https" {
            do {
                try await secure.ping(triesOnce: true)
                return secure
            } catch let error as RegistryError where error.isConnection {
                // Whoever speaks no TLS is asked without.
            }
        }
        let port = origin.scheme == "https" && origin.port == 443 ? 80 : origin.port
        let plain = client(Origin(scheme: "http", host: origin.host, port: port), access)
        guard plainAllowed else {
            throw RegistryError(.refused, "\(origin.authority) is to be spoken to without TLS, but is not among the insecure registries")
        }
        try await plain.ping()
        return plain
    }

    private func client(_ origin: Origin, _ access: Registries.Access) -> RepositoryClient {
        let transport = registries.transport
        let authorizer = Authorizer(
            origin: origin, credentials: credentials, transport: transport,
            trustedHosts: registries.configuration.authenticationHosts[domain] ?? [])
        return RepositoryClient(
            origin: origin, prefix: prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix, path: path,
            exchange: Exchange(transport: transport, authorizer: authorizer, scopes: ["repository:\(path):\(access.rawValue)"]))
    }
}
