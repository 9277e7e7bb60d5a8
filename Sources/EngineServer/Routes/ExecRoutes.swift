import DockerAPI
import Engine
import NIOHTTP1

/// `/exec/…` and the making of exec sessions.
struct ExecRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.POST, "/containers/{id}/exec") { request in
            let config = try await request.decode(ExecConfig.self)
            if request.isScoped, config.Privileged == true {
                throw EngineError(.forbidden, "a privileged exec session is not allowed on this socket, whose scope is project")
            }
            var response = IDResponse()
            response.Id = try await engine.createExec(request.parameter("id"), config, most: request.isScoped ? 64 : nil)
            return try .json(response, status: .created)
        }
        router.on(.POST, "/exec/{id}/start") { request in
            let start = try await request.decodeIfPresent(ExecStartConfig.self) ?? ExecStartConfig()
            let (terminal, run) = try await engine.startExec(request.parameter("id"), start)
            if start.Detach == true {
                try await run(nil)
                return .status(.ok)
            }
            return .hijack(terminal: terminal, version: request.version) { client in
                do {
                    try await run(client)
                } catch let error as EngineError {
                    // The connection is a stream by now: the text goes down it, the code into the session.
                    try await client.write(error.streamText(terminal: terminal))
                }
            }
        }
        router.on(.POST, "/exec/{id}/resize") { request in
            let (rows, columns) = try ContainerRoutes.size(request)
            try await engine.resizeExec(request.parameter("id"), rows: rows, columns: columns)
            return .status(.ok)
        }
        router.on(.GET, "/exec/{id}/json") { request in
            try .json(await engine.inspectExec(request.parameter("id")))
        }
    }
}
