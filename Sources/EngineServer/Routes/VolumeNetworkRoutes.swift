import DockerAPI
import Engine
import NIOHTTP1

/// `/volumes/…`
struct VolumeRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/volumes") { request in try .json(await engine.listVolumes(try request.query.filters())) }
        router.on(.POST, "/volumes/create") { request in
            let wanted = try await request.decode(VolumeCreateRequest.self)
            return try .json(await engine.createVolume(wanted), status: .created)
        }
        router.on(.POST, "/volumes/prune") { request in try .json(await engine.pruneVolumes(try request.query.filters())) }
        router.on(.GET, "/volumes/{name}") { request in
            try .json(await engine.volumes.inspect(request.parameter("name")))
        }
        router.on(.DELETE, "/volumes/{name}") { request in
            try await engine.removeVolume(request.parameter("name"), force: request.query.flag("force"))
            return .noContent()
        }
    }
}

/// `/networks/…`
struct NetworkRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/networks") { request in try .json(await engine.listNetworks(try request.query.filters())) }
        router.on(.GET, "/system/network/explain") { request in
            try .json(await engine.explainNetwork(request.query["target"] ?? ""))
        }
        router.on(.POST, "/networks/create") { request in
            try .json(await engine.createNetwork(try await request.decode(NetworkCreateRequest.self)), status: .created)
        }
        router.on(.POST, "/networks/prune") { request in try .json(await engine.pruneNetworks(try request.query.filters())) }
        router.on(.GET, "/networks/{id}") { request in
            try .json(await engine.inspectNetwork(request.parameter("id"), scope: request.query["scope"] ?? ""))
        }
        router.on(.DELETE, "/networks/{id}") { request in
            try await engine.removeNetwork(request.parameter("id"))
            return .noContent()
        }
        router.on(.POST, "/networks/{id}/connect") { request in
            try await engine.connectNetwork(request.parameter("id"), try await request.decode(NetworkConnectRequest.self))
            return .status(.ok)
        }
        router.on(.POST, "/networks/{id}/disconnect") { request in
            try await engine.disconnectNetwork(request.parameter("id"), try await request.decode(NetworkDisconnectRequest.self))
            return .status(.ok)
        }
    }
}
