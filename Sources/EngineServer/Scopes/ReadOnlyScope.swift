import Blocking
import DockerAPI
import Engine
import NIOCore
import NIOHTTP1
import OCI

/// What a socket of the scope `read-only` answers: which containers, images, networks and volumes there are and how they do.
/// It changes nothing, and tells nothing that may be a secret: environments, command lines, output, files, options of volumes.
///
/// Whatever does not stand in the table is refused. It names routes, not paths: what a request is allowed for is what is done.
enum ReadOnlyScope {
    enum Answer: Sendable, Equatable {
        /// As everybody gets it.
        case whole
        /// A document in which `hidden` members are empty.
        case document
        /// Written as things happen, by a handler that leaves secrets out (`Request.hidesSecrets`).
        case stream
    }

    static func answer(to method: HTTPMethod, _ pattern: String) -> Answer? { routes["\(method) \(pattern)"] }

    private static let routes: [String: Answer] = [
        "GET /_ping": .whole,
        "HEAD /_ping": .whole,
        "GET /version": .whole,
        "GET /metrics": .whole,
        "GET /info": .document,
        "GET /events": .stream,
        "GET /containers/json": .document,
        "GET /containers/{id}/json": .document,
        "GET /containers/{id}/stats": .stream,
        "GET /images/json": .document,
        "GET /images/{name...}/json": .document,
        "GET /networks": .document,
        "GET /networks/{id}": .document,
        "GET /volumes": .document,
        "GET /volumes/{name}": .document,
    ]

    /// Members that are emptied wherever they stand: of containers and images the environment, the command line and its parts,
    /// the health check with its output, and what went wrong, which names the command; addresses of proxies, which have
    /// passwords; options of volumes, networks and logs.
    private static let hidden: Set<String> = [
        "Env", "Cmd", "Entrypoint", "Path", "Args", "Command", "OnBuild", "Healthcheck", "Log", "ExecIDs", "HttpProxy", "HttpsProxy",
        "Options", "DriverOpts", "LogConfig", "Annotations", "Error", "Message",
    ]

    /// How many answers are made at a time for one container: each may keep a thread of the engine.
    static let mostAtOnce = 4

    static func answer(_ request: Request, _ route: Router.Match, _ slots: Slots) async throws -> Response {
        guard let answer = answer(to: request.method, route.pattern) else {
            throw EngineError(.forbidden, "\(request.method) \(route.pattern) is not allowed on this socket, whose scope is read-only")
        }
        var request = request
        (request.isScoped, request.hidesSecrets) = (true, true)
        var response = try await slots.take { [request] in try await route.handler(request) }
        switch (answer, response.body) {
        case (.document, .bytes(let bytes)):
            response.body = .bytes(ByteBuffer(bytes: try hiding(Array(bytes.readableBytesView))))
            return response
        case (.whole, .bytes), (.whole, .none), (.stream, .stream): return response
        default: throw EngineError(.forbidden, "the answer to \(route.pattern) is not for this socket, whose scope is read-only")
        }
    }

    static func hiding(_ document: [UInt8]) throws -> [UInt8] {
        hiding(try JSONValue.parse(document, limits: .init(bytes: 256 << 20))).serialized()
    }

    private static func hiding(_ value: JSONValue) -> JSONValue {
        switch value {
        case .array(let values): .array(values.map(hiding))
        case .object(let members): .object(members.map { ($0.0, hidden.contains($0.0) ? emptied($0.1) : hiding($0.1)) })
        default: value
        }
    }

    private static func emptied(_ value: JSONValue) -> JSONValue {
        switch value {
        case .string: .string("")
        case .array: .array([])
        case .object: .object([])
        default: .null
        }
    }
}

extension EventMessage {
    /// `exec_create: COMMAND` and its like.
    var withoutCommand: EventMessage {
        var event = self
        func isExec(_ text: String?) -> Bool { text?.hasPrefix("exec_") == true }
        if isExec(Action) { event.Action = Action.map { String($0.prefix { $0 != ":" }) } }
        if isExec(status) { event.status = status.map { String($0.prefix { $0 != ":" }) } }
        return event
    }
}
