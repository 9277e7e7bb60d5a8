import DockerAPI
import Engine
import FoundationEssentials
import Linux
import NIOCore
import NIOHTTP1

/// `/containers/…`
struct ContainerRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/containers/json") { request in
            let (all, limit, size) = (request.query.flag("all"), try request.query.integer("limit") ?? 0, request.wantsSizes)
            let filters = try request.query.filters()
            if limit <= 0, !size, filters.keys.isEmpty { return .rawJSON(try await engine.listContainersJSON(all: all)) }
            return try .json(await engine.listContainers(all: all, limit: limit, size: size, filters: filters))
        }
        router.on(.POST, "/containers/create") { request in
            let body = try await request.decode(ContainerCreateRequest.self)
            return try .json(
                await engine.createContainer(body, name: request.query["name"], platform: request.query["platform"] ?? ""), status: .created)
        }
        router.on(.POST, "/containers/prune") { request in
            try .json(await engine.pruneContainers(try request.query.filters()))
        }
        router.on(.GET, "/containers/{id}/json") { request in
            try .jsonUnfolded(await engine.inspectContainer(request.parameter("id"), size: request.wantsSizes))
        }
        router.on(.DELETE, "/containers/{id}") { request in
            try await engine.removeContainer(
                request.parameter("id"), force: request.query.flag("force"), volumes: request.query.flag("v"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/update") { request in
            let update = try await request.decode(ContainerUpdateRequest.self)
            return try .json(await engine.updateContainer(request.parameter("id"), update))
        }
        router.on(.GET, "/containers/{id}/top") { request in
            try .json(await engine.topContainer(request.parameter("id"), arguments: request.query["ps_args"] ?? ""))
        }
        router.on(.GET, "/containers/{id}/changes") { request in
            try .json(await engine.containerChanges(request.parameter("id")))
        }
        addLifecycle(to: &router)
        addStreams(to: &router)
        addFiles(to: &router)
    }

    private func addLifecycle(to router: inout Router) {
        let engine = engine
        router.on(.POST, "/containers/{id}/start") { request in
            try await engine.startContainer(request.parameter("id"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/stop") { request in
            try await engine.stopContainer(
                request.parameter("id"), signal: request.query["signal"], timeout: try request.query.integer("t"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/restart") { request in
            try await engine.restartContainer(
                request.parameter("id"), signal: request.query["signal"], timeout: try request.query.integer("t"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/kill") { request in
            try await engine.killContainer(request.parameter("id"), signal: request.query["signal"])
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/pause") { request in
            try await engine.pauseContainer(request.parameter("id"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/unpause") { request in
            try await engine.unpauseContainer(request.parameter("id"))
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/rename") { request in
            guard let name = request.query["name"], !name.isEmpty else {
                throw EngineError(.invalidArgument, "New name cannot be empty")
            }
            try await engine.renameContainer(request.parameter("id"), to: name)
            return .noContent()
        }
        router.on(.POST, "/containers/{id}/resize") { request in
            let (rows, columns) = try Self.size(request)
            try await engine.resizeContainer(request.parameter("id"), rows: rows, columns: columns)
            return .status(.ok)
        }
        router.on(.POST, "/containers/{id}/wait") { request in
            let text = request.query["condition"] ?? ""
            guard let condition = text.isEmpty ? .notRunning : WaitCondition(rawValue: text) else {
                throw EngineError(.invalidArgument, "invalid condition: \"\(text)\"")
            }
            let wait = try await engine.waitForContainer(request.parameter("id"), condition)
            // The head goes out at once: clients take it as the sign that the wait has begun.
            return .stream("application/json") { writer in
                let result = try await wait()
                var response = ContainerWaitResponse()
                response.StatusCode = Int64(result.exitCode)
                try await writer.writeLine(response)
            }
        }
    }

    private static func attachOptions(_ query: Query) -> AttachOptions {
        var options = AttachOptions()
        options.stdin = query.flag("stdin")
        options.stdout = query.flag("stdout")
        options.stderr = query.flag("stderr")
        options.stream = query.flag("stream")
        options.logs = query.flag("logs")
        options.detachKeys = query["detachKeys"]
        return options
    }

    static func size(_ request: Request) throws -> (rows: UInt16, columns: UInt16) {
        guard let rows = try request.query.integer("h").flatMap(UInt16.init(exactly:)),
            let columns = try request.query.integer("w").flatMap(UInt16.init(exactly:))
        else { throw EngineError(.invalidArgument, "invalid resize height or width") }
        return (rows, columns)
    }

    private func addStreams(to router: inout Router) {
        let engine = engine
        router.on(.POST, "/containers/{id}/attach") { request in
            let (terminal, run) = try await engine.attachContainer(request.parameter("id"), Self.attachOptions(request.query))
            return .hijack(terminal: terminal, version: request.version) { try await run($0) }
        }
        router.on(.GET, "/containers/{id}/attach/ws") { request in
            let accepting = try WebSocket.accept(request.headers)
            var options = Self.attachOptions(request.query)
            options.stream = request.query.flag("stream", default: true)
            let (terminal, run) = try await engine.attachContainer(request.parameter("id"), options)
            let isBinary = request.version >= APIVersion(major: 1, minor: 28)
            return Response(
                status: .switchingProtocols,
                body: .webSocket(accepting) { connection in
                    let stream = WebSocketStream(connection, binary: isBinary, multiplexed: !terminal)
                    try await run(stream)
                    try await stream.close()
                })
        }
        router.on(.GET, "/containers/{id}/logs") { request in
            var query = LogQuery()
            query.stdout = request.query.flag("stdout")
            query.stderr = request.query.flag("stderr")
            guard query.stdout || query.stderr else {
                throw EngineError(.invalidArgument, "Bad parameters: you must choose at least one stream")
            }
            query.follow = request.query.flag("follow")
            query.timestamps = request.query.flag("timestamps")
            query.details = request.query.flag("details")
            query.since = try TimeParameter.parse(request.query["since"])
            query.until = try TimeParameter.parse(request.query["until"])
            if let tail = request.query["tail"], tail != "all", !tail.isEmpty { query.tail = Int(tail) }
            let (terminal, run) = try await engine.containerLogs(request.parameter("id"), query)
            return .stream(terminal ? ContentType.raw : ContentType.multiplexed) { writer in
                try await run { try await writer.write($0) }
            }
        }
        router.on(.GET, "/containers/{id}/stats") { request in
            let id = request.parameter("id")
            let stream = request.query.flag("stream", default: true)
            let oneShot = request.query.flag("one-shot")
            let sample = try await engine.containerStatistics(id)
            return .stream("application/json") { writer in
                try await sample(stream, oneShot) { try await writer.writeLine($0) }
            }
        }
    }

    private func addFiles(to router: inout Router) {
        let engine = engine
        router.on(.HEAD, "/containers/{id}/archive") { request in
            let stat = try await engine.statPath(request.parameter("id"), try Self.path(request))
            var response = Response.status(.ok)
            response.headers.add(name: "X-Docker-Container-Path-Stat", value: try Self.encode(stat))
            return response
        }
        router.on(.GET, "/containers/{id}/archive") { request in
            let (stat, write) = try await engine.readArchive(request.parameter("id"), try Self.path(request))
            var response = Response.stream("application/x-tar") { writer in try await write { try await writer.write($0) } }
            response.headers.add(name: "X-Docker-Container-Path-Stat", value: try Self.encode(stat))
            return response
        }
        router.on(.PUT, "/containers/{id}/archive") { request in
            try await engine.writeArchive(
                request.parameter("id"), try Self.path(request), body: request.body,
                keepsKind: request.query.flag("noOverwriteDirNonDir"), takesOwner: request.query.flag("copyUIDGID"))
            return .status(.ok)
        }
        router.on(.GET, "/containers/{id}/export") { request in
            let write = try await engine.exportContainer(request.parameter("id"))
            return .stream("application/x-tar") { writer in try await write { try await writer.write($0) } }
        }
    }

    private static func path(_ request: Request) throws -> String {
        guard let path = request.query["path"], !path.isEmpty else {
            throw EngineError(.invalidArgument, "bad parameter: path cannot be empty")
        }
        return path
    }

    private static func encode(_ stat: ContainerPathStat) throws -> String {
        try APIJSON.encode(stat).base64EncodedString()
    }
}

enum ContentType {
    static let raw = "application/vnd.docker.raw-stream"
    static let multiplexed = "application/vnd.docker.multiplexed-stream"
}

extension Response {
    /// Docker names multiplexed streams as such from API 1.42 on.
    static func hijack(
        terminal: Bool, version: APIVersion, _ work: @escaping @Sendable (any ClientStream) async throws -> Void
    ) -> Response {
        let multiplexed = !terminal && version >= APIVersion(major: 1, minor: 42)
        return Response(
            status: .switchingProtocols,
            body: .hijack(contentType: multiplexed ? ContentType.multiplexed : ContentType.raw) { try await work($0) })
    }
}

extension RawConnection: ClientStream {
    func read() async throws -> ByteBuffer? { try await input.next() }
}

/// `since` and `until`: seconds since 1970, with or without a fraction, or RFC 3339.
enum TimeParameter {
    static func parse(_ text: String?) throws -> Timestamp? {
        guard let text, !text.isEmpty, text != "0" else { return nil }
        if let time = Timestamp(rfc3339: text) { return time }
        let parts = text.split(separator: ".", maxSplits: 1)
        guard let seconds = parts.first.flatMap({ Int64($0) }) else {
            throw EngineError(.invalidArgument, "invalid value for time: \(text)")
        }
        let fraction = parts.count > 1 ? String(parts[1].prefix(9)) : ""
        let padded = fraction + String(repeating: "0", count: 9 - fraction.count)
        return Timestamp(seconds: seconds, nanoseconds: Int64(padded) ?? 0)
    }
}
