/// The engine answered with an error. `message` is its text, `status` the HTTP status; 200 stands for an error that came
/// inside a stream after it had begun.
public struct EngineClientError: Error, CustomStringConvertible, Equatable {
    public let status: Int
    public let message: String

    public init(status: Int, message: String) {
        self.status = status
        self.message = message
    }

    public var description: String { "Error response from daemon: \(message)" }
}

/// The engine could not be reached or broke off.
public struct EngineConnectionError: Error, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Nobody listens at the address; an engine that is started may change that.
        case notRunning
        case permissionDenied
        case other
    }

    public let reason: Reason
    public let description: String

    public init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }
}
