/// What a user has to show to a registry.
public enum RegistryCredentials: Sendable, Equatable {
    case anonymous
    case password(user: String, Secret)
    /// A refresh token that the token server of the registry has given out at a login.
    case identityToken(Secret)
    /// A token that the registry itself takes as it is.
    case registryToken(Secret)
}
