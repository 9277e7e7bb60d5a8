/// What the engine tells a client that something cannot be done: a kind to decide by and a text to read, Docker's where
/// Docker has one.
public struct EngineError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable {
        case notFound
        case invalidArgument
        case conflict
        /// Nothing to do: it already is as asked. Has no text.
        case notModified
        case forbidden
        case unauthorized
        case unavailable
        case notImplemented
        case internalError
    }

    public let kind: Kind
    public let message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    public var description: String { message }
}
