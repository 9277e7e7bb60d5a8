// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// What a client shows for a registry: the body of `POST /auth`, and, in base64, the header `X-Registry-Auth`.
public struct AuthConfig: Codable, Sendable, Equatable {
    public var username: String?
    public var password: String?
    public var auth: String?
    public var email: String?
    public var serveraddress: String?
    public var identitytoken: String?
    public var registrytoken: String?

    public init() {}
}

/// The answer of `POST /auth`.
public struct AuthResponse: Codable, Sendable, Equatable {
    public var Status: String?
    public var IdentityToken: String?

    public init() {}
}

/// The answer of `GET /distribution/{name}/json`.
public struct DistributionInspect: Codable, Sendable, Equatable {
    public var Descriptor: OCIDescriptor?
    public var Platforms: [OCIPlatform]?

    public init() {}
}

/// One line of `docker search`.
public struct SearchResult: Codable, Sendable, Equatable {
    public var name: String?
    public var description: String?
    public var star_count: Int?
    public var is_official: Bool?
    public var is_automated: Bool?

    public init() {}
}
