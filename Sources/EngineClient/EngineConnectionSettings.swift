/// How an engine is reached besides its address.
public struct EngineConnectionSettings: Sendable {
    /// nil: the connection is not encrypted.
    public var tls: EngineTLS?
    /// Makes a connection in place of the address: a connected socket, which becomes the client's.
    public var dial: (@Sendable () async throws -> Int32)?
    /// Sent with every request.
    public var headers: [(String, String)] = []

    public init() {}
}
