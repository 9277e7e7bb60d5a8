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

/// `/networks/…`: the networks that every engine has.
struct NetworkRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/networks") { request in try .json(await engine.listNetworks(try request.query.filters())) }
        router.on(.GET, "/networks/{id}") { request in try .json(await engine.inspectNetwork(request.parameter("id"))) }
        router.on(.DELETE, "/networks/{id}") { request in
            let network = try await engine.inspectNetwork(request.parameter("id"))
            throw EngineError(.forbidden, "\(network.Name ?? "") is a pre-defined network and cannot be removed")
        }
        for (path, what) in [
            ("/networks/create", "making"), ("/networks/{id}/connect", "connecting to"),
            ("/networks/{id}/disconnect", "disconnecting from"),
        ] {
            router.on(.POST, path) { _ in
                throw EngineError(.notImplemented, "\(what) networks is not available in this version of Skiff")
            }
        }
        router.on(.POST, "/networks/prune") { _ in try .json(["NetworksDeleted": [String]()]) }
    }
}
