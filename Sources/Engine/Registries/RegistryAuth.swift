import DockerAPI
import FoundationEssentials
import Registry

/// What a client has sent for registries.
public struct RegistryAuth: Sendable {
    /// For the registry of the request.
    let credentials: RegistryCredentials
    /// For any that a build meets, by their addresses.
    private let byHost: [String: RegistryCredentials]

    /// Reads `X-Registry-Auth` and `X-Registry-Config`. What cannot be read is refused, without showing it.
    public init(header: String?, configHeader: String? = nil) throws(EngineError) {
        let config = try Self.decode(AuthConfig.self, header ?? "")
        let configs = try Self.decode([String: AuthConfig].self, configHeader ?? "") ?? [:]
        credentials = config.map(RegistryCredentials.init) ?? .anonymous
        byHost = Dictionary(configs.map { (Self.host($0.key), RegistryCredentials($0.value)) }) { first, _ in first }
    }

    /// For the images of a domain.
    func credentials(for domain: String) -> RegistryCredentials { byHost[Self.host(domain)] ?? .anonymous }

    /// `https://index.docker.io/v1/` and `docker.io` are one.
    static func host(_ address: String) -> String {
        var rest = address[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        let host = String(rest.prefix { $0 != "/" }).lowercased()
        return ["index.docker.io", "registry-1.docker.io"].contains(host) ? "docker.io" : host
    }

    private static func decode<T: Decodable>(_ type: T.Type, _ text: String) throws(EngineError) -> T? {
        if text.isEmpty { return nil }
        guard let bytes = Base64.decoded(text) else { throw EngineError(.invalidArgument, "invalid X-Registry-Auth header: invalid base64") }
        if bytes.isEmpty || bytes == Array("null".utf8) { return nil }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            // Its text could show a password.
            throw EngineError(.invalidArgument, "invalid X-Registry-Auth header: invalid JSON")
        }
    }
}

extension RegistryCredentials {
    init(_ config: AuthConfig) {
        func given(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        if let token = given(config.registrytoken) {
            self = .registryToken(Secret(token))
        } else if let token = given(config.identitytoken) {
            self = .identityToken(Secret(token))
        } else if let user = given(config.username) {
            self = .password(user: user, Secret(config.password ?? ""))
        } else if let pair = given(config.auth).flatMap({ Base64.decoded($0) }).map({ String(decoding: $0, as: UTF8.self) }),
            let colon = pair.firstIndex(of: ":")
        {
            self = .password(user: String(pair[..<colon]), Secret(String(pair[pair.index(after: colon)...])))
        } else {
            self = .anonymous
        }
    }
}
