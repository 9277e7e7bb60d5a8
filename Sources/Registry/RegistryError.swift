/// What a registry answered, as far as somebody decides by it.
public enum RegistryError: Error, Equatable {
    /// The credentials are missing, wrong or do not suffice.
    case unauthorized(String)
    /// There is no such manifest, blob or repository.
    case notFound(String)
}
