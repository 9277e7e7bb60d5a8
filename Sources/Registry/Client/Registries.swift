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

    /// Where an image can be pulled from, in the order to try: the mirrors of its registry, then the registry. Mirrors are
    /// those of the configuration, then those of `hosts.toml`. May block for a moment.
    public func sources(of reference: Reference, _ credentials: RegistryCredentials) throws -> [RepositorySource] {
        let mirrors = (configuration.mirrors[reference.domain] ?? []).map { mirror in
            RepositorySource(
                registries: self, domain: reference.domain, path: reference.path, origin: mirror.address.origin,
                root: HostSettings.root(mirror.address.path, overridesPath: false), credentials: mirror.credentials, isMirror: true)
        }
        let file = try HostsFile.find(reference.domain, in: configuration.certificateDirectories)
        let stated = (file?.hosts ?? []).map { RepositorySource(self, reference, $0, .anonymous, isMirror: true) }
        return mirrors + stated + [registry(of: reference, credentials, file)]
    }

    /// The registry of an image itself. May block for a moment.
    public func registry(of reference: Reference, _ credentials: RegistryCredentials) throws -> RepositorySource {
        registry(of: reference, credentials, try HostsFile.find(reference.domain, in: configuration.certificateDirectories))
    }

    /// Where an image is pushed to: the registry, or the first host that `hosts.toml` names for that. May block for a moment.
    public func target(of reference: Reference, _ credentials: RegistryCredentials) throws -> RepositorySource {
        let file = try HostsFile.find(reference.domain, in: configuration.certificateDirectories)
        if let host = file?.hosts.first(where: { $0.capabilities.contains(.push) }) {
            return RepositorySource(self, reference, host, .anonymous, isMirror: true)
        }
        guard file?.server?.capabilities.contains(.push) ?? true else {
            throw RegistryError(.refused, "nothing may be pushed to \(reference.domain), as its \(HostsFile.name) says")
        }
        return registry(of: reference, credentials, file)
    }

    private func registry(of reference: Reference, _ credentials: RegistryCredentials, _ file: HostsFile?) -> RepositorySource {
        let usual = Self.origin(reference.domain)
        guard let server = file?.server else {
            return RepositorySource(
                registries: self, domain: reference.domain, path: reference.path, origin: usual, root: "/v2", credentials: credentials,
                isMirror: false)
        }
        // A password is for the host that the user has named, and for no other one.
        return RepositorySource(self, reference, server, server.address.origin == usual ? credentials : .anonymous, isMirror: false)
    }

    static func origin(_ domain: String) -> Origin { WebAddress.ofRegistry(domain).origin }
}

/// A repository at one place, before anybody was asked there.
public struct RepositorySource: Sendable {
    let registries: Registries
    let domain: String
    let path: String
    let origin: Origin
    /// In front of the repository: `/v2`, mostly.
    let root: String
    let credentials: RegistryCredentials
    public let isMirror: Bool
    /// As `hosts.toml` says.
    var settings: HostSettings?

    /// `registry.example:5000`, for messages.
    public var host: String { origin.authority }
    /// It may be asked for content.
    public var gives: Bool { settings?.capabilities.contains(.pull) ?? true }
    /// It may be asked which digest a tag means.
    public var resolves: Bool { settings?.capabilities.contains(.resolve) ?? true }

    /// Asks whether somebody is there who speaks the protocol. A host that may do without is tried with TLS first, then
    /// without.
    public func connect(for access: Registries.Access) async throws -> RepositoryClient {
        let secure = client(origin, access)
        // What hosts.toml says of a host says with its address whether TLS is spoken.
        let plainAllowed = try settings == nil && Trust.allowsPlain(origin, registries.configuration)
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
        guard plainAllowed || settings != nil else {
            throw RegistryError(.refused, "\(origin.authority) is to be spoken to without TLS, but is not among the insecure registries")
        }
        try await plain.ping()
        return plain
    }

    private func client(_ origin: Origin, _ access: Registries.Access) -> RepositoryClient {
        let transport = settings.map { registries.transport.with($0, at: origin) } ?? registries.transport
        let authorizer = Authorizer(
            origin: origin, credentials: credentials, transport: transport,
            trustedHosts: registries.configuration.authenticationHosts[domain] ?? [])
        return RepositoryClient(
            origin: origin, root: root, path: path, namespace: isMirror && settings != nil ? domain : nil,
            exchange: Exchange(transport: transport, authorizer: authorizer, scopes: ["repository:\(path):\(access.rawValue)"]))
    }
}

extension RepositorySource {
    fileprivate init(
        _ registries: Registries, _ reference: Reference, _ host: HostSettings, _ credentials: RegistryCredentials, isMirror: Bool
    ) {
        self.init(
            registries: registries, domain: reference.domain, path: reference.path, origin: host.address.origin, root: host.root,
            credentials: credentials, isMirror: isMirror, settings: host)
    }
}
