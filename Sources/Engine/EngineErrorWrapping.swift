import Builder
import Images
import Linux
import Networking
import Registry
import Store

extension EngineError {
    /// Any error as the engine's: those of the parts keep their text and get a kind.
    public static func wrapping(_ error: any Error) -> EngineError {
        switch error {
        case let error as EngineError: return error
        case let error as ImageError: return EngineError(kind(error), error.description)
        case let error as RegistryError: return EngineError(kind(error), error.description)
        case let error as BuildError:
            return EngineError(error.isRequestError ? .invalidArgument : .internalError, error.description)
        case let error as NetworkError: return EngineError(kind(error), error.description)
        case let error as StoreError:
            if case .nameTaken = error { return EngineError(.conflict, error.description) }
            return EngineError(.internalError, error.description)
        case is CancellationError: return EngineError(.internalError, "the request was cancelled")
        default: return EngineError(.internalError, "\(error)")
        }
    }

    /// A registry's 401 is told as Docker tells it: the client is known here, only not there.
    private static func kind(_ error: RegistryError) -> Kind {
        switch error.kind {
        case .notFound: .notFound
        case .denied: .forbidden
        case .unsupported: .invalidArgument
        case .unauthorized, .unavailable, .refused, .invalidReply, .connection, .unreachable: .internalError
        }
    }

    private static func kind(_ error: NetworkError) -> Kind {
        guard case .refused(let kind, _) = error else { return .internalError }
        switch kind {
        case .invalid: return .invalidArgument
        case .forbidden: return .forbidden
        case .conflict: return .conflict
        case .notFound: return .notFound
        case .notAvailable: return .notImplemented
        }
    }

    private static func kind(_ error: ImageError) -> Kind {
        switch error {
        case .notFound, .noMatch: .notFound
        case .ambiguous, .invalid: .invalidArgument
        case .conflict: .conflict
        }
    }
}
