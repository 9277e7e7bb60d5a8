import Blocking
import DockerAPI
import Engine
import NIOCore
import NIOHTTP1
import OCI

/// What a socket of the scope `project` answers: everything about the containers of one project, their output, and what makes
/// them run, stop or do something. To it there are no other containers, networks and volumes. It makes none, and gives none
/// another form: a new container could have the host's files.
///
/// Whatever does not stand in the table is refused. It names routes, not paths: what a request is allowed for is what is done.
enum ProjectScope {
    private enum Answer {
        /// As everybody gets it.
        case whole
        /// As with the scope `read-only`: not of the project alone.
        case hidden
        /// Those with the project's label.
        case listed
        /// A document of something that has the project's label.
        case labelled(missing: String)
        /// About a container of the project.
        case container
        /// The same, and it may take as long as it likes: no thread waits for it.
        case work
        /// About a session of exec in one.
        case session
    }

    private static let routes: [String: Answer] = [
        "GET /_ping": .whole,
        "HEAD /_ping": .whole,
        "GET /version": .whole,
        "GET /info": .hidden,
        "GET /images/json": .hidden,
        "GET /images/{name...}/json": .hidden,
        "GET /events": .listed,
        "GET /networks": .listed,
        "GET /networks/{id}": .labelled(missing: "network %s not found"),
        "GET /volumes": .listed,
        "GET /volumes/{name}": .labelled(missing: "get %s: no such volume"),
        "GET /containers/json": .listed,
        "GET /containers/{id}/json": .container,
        "GET /containers/{id}/logs": .container,
        "GET /containers/{id}/stats": .container,
        "POST /containers/{id}/attach": .work,
        "POST /containers/{id}/exec": .work,
        "POST /containers/{id}/kill": .work,
        "POST /containers/{id}/pause": .work,
        "POST /containers/{id}/resize": .container,
        "POST /containers/{id}/restart": .work,
        "POST /containers/{id}/start": .work,
        "POST /containers/{id}/stop": .work,
        "POST /containers/{id}/unpause": .work,
        "POST /containers/{id}/wait": .work,
        "GET /exec/{id}/json": .session,
        "POST /exec/{id}/resize": .session,
        "POST /exec/{id}/start": .session,
    ]

    static func answer(_ request: Request, _ route: Router.Match, _ socket: ProjectSocket, _ slots: Slots) async throws -> Response {
        guard let answer = routes["\(request.method) \(route.pattern)"] else {
            throw EngineError(.forbidden, "\(request.method) \(route.pattern) is not allowed on this socket, whose scope is project")
        }
        let members = try await socket.members()
        if case .hidden = answer { return try await ReadOnlyScope.answer(request, route, slots) }
        var request = request
        request.isScoped = true
        switch answer {
        case .listed: request.query = try listing(request.query, members)
        // By its id from here on: a name may be another's by then.
        case .container, .work: request.parameters["id"] = try await members.container(request.parameter("id"))
        case .session: try await members.check(session: request.parameter("id"))
        case .whole, .hidden, .labelled: break
        }
        switch answer {
        case .work, .session: return try await route.handler(request)
        case .labelled(let missing):
            let name = request.parameters.values.first ?? ""
            // Nor does it say that a beginning means several things, whosever they are.
            do {
                let response = try await slots.take { [request] in try await route.handler(request) }
                if let shown = try await labelled(response, members) { return shown }
            } catch let error as EngineError {
                guard [.notFound, .invalidArgument].contains(error.kind) else { throw error }
            }
            throw EngineError(.notFound, missing.replacing("%s", with: name))
        default: return try await slots.take { [request] in try await route.handler(request) }
        }
    }

    /// Filters that name a container, or ask for what nobody uses, would tell what others there are.
    private static func listing(_ query: Query, _ members: ProjectMembers) throws -> Query {
        for key in try query.filters().keys where ["before", "since", "dangling"].contains(key) {
            throw EngineError(.forbidden, "the filter '\(key)' is not allowed on this socket, whose scope is project")
        }
        return try query.requiring(label: members.filter)
    }

    /// Of something with the project's label the document, without containers that are of others; nil of anything else.
    private static func labelled(_ response: Response, _ members: ProjectMembers) async throws -> Response? {
        guard case .bytes(let bytes) = response.body else { return nil }
        let document = try JSONValue.parse(Array(bytes.readableBytesView), limits: .init(bytes: 256 << 20))
        guard case .string(members.project)? = document["Labels"]?[ProjectMembers.label], case .object(var parts) = document else { return nil }
        let ids = await members.ids()
        for (index, part) in parts.enumerated() where part.0 == "Containers" {
            guard case .object(let containers) = part.1 else { continue }
            parts[index].1 = .object(containers.filter { ids.contains($0.0) })
        }
        var response = response
        response.body = .bytes(ByteBuffer(bytes: JSONValue.object(parts).serialized()))
        return response
    }
}
