import DockerAPI
import Engine
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// `/build` and what belongs to it. Secrets and named contexts come ahead of the build, in bodies of their own.
struct BuildRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.POST, "/build/secrets") { request in
            let given = try await request.decode([String: String].self)
            var secrets: [String: [UInt8]] = [:]
            for (id, text) in given {
                guard let value = Data(base64Encoded: text) else { throw EngineError(.invalidArgument, "secret \(id) is not base64") }
                secrets[id] = [UInt8](value)
            }
            var response = IDResponse()
            response.Id = try await engine.depositSecrets(secrets)
            return try .json(response, status: .created)
        }
        router.on(.POST, "/build/contexts") { request in
            var response = IDResponse()
            response.Id = try await engine.depositContext(request.body)
            return try .json(response, status: .created)
        }
        router.on(.POST, "/build/locks") { request in
            let bytes = try await request.body.collect(upTo: ContainerEngine.mostLockBytes)
            var response = IDResponse()
            response.Id = try await engine.depositLock([UInt8](bytes.readableBytesView))
            return try .json(response, status: .created)
        }
        router.on(.GET, "/build/caches/{id}") { request in
            let write = try await engine.takeBuildCache(request.parameter("id"))
            return .stream("application/x-tar") { writer in try await write { try await writer.write($0) } }
        }
        router.on(.POST, "/build/prune") { request in
            var wanted = BuildCachePrune()
            wanted.all = request.query.flag("all")
            // One word for it in each generation of the API.
            let keep = ["reserved-space", "keep-storage", "max-used-space"].lazy.compactMap { request.query[$0] }.first { $0 != "0" }
            wanted.keepBytes = try keep.map { text in
                guard let bytes = Int64(text), bytes >= 0 else { throw EngineError(.invalidArgument, "invalid amount of storage: \(text)") }
                return bytes
            }
            wanted.filters = try request.query.filters()
            return try .json(await engine.pruneBuildCache(wanted))
        }
        router.on(.POST, "/build/shells/{id}/attach") { request in
            let size = try ContainerRoutes.size(request)
            let join = try engine.joinBuildShell(request.parameter("id"), rows: size.rows, columns: size.columns)
            return .hijack(terminal: true, version: request.version) { await join($0) }
        }
        router.on(.POST, "/build/shells/{id}/resize") { request in
            let size = try ContainerRoutes.size(request)
            try await engine.resizeBuildShell(request.parameter("id"), rows: size.rows, columns: size.columns)
            return .status(.ok)
        }
        router.on(.POST, "/build") { request in
            var parameters = try BuildQuery(request.query).parameters
            parameters.auth = try request.registryAuth()
            let body = request.body
            return .messages { [parameters] send in try await engine.build(parameters, context: body, send: send) }
        }
    }
}
