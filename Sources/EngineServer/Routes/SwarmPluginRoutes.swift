import Engine
import NIOHTTP1

/// What belongs to swarms, plugins and checkpoints, answered as an engine does that has none.
struct SwarmPluginRoutes {
    func add(to router: inout Router) {
        addSwarm(to: &router)
        addPlugins(to: &router)
    }

    private static let noManager = EngineError(
        .unavailable,
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.")

    private func addSwarm(to router: inout Router) {
        let ofManagers: [(HTTPMethod, String)] = [
            (.GET, "/swarm"), (.GET, "/swarm/unlockkey"), (.POST, "/swarm/update"), (.GET, "/nodes"), (.GET, "/nodes/{id}"),
            (.DELETE, "/nodes/{id}"), (.POST, "/nodes/{id}/update"), (.GET, "/services"), (.POST, "/services/create"),
            (.GET, "/services/{id}"), (.DELETE, "/services/{id}"), (.POST, "/services/{id}/update"), (.GET, "/services/{id}/logs"),
            (.GET, "/tasks"), (.GET, "/tasks/{id}"), (.GET, "/tasks/{id}/logs"), (.PUT, "/volumes/{name}"),
        ]
        let things = ["secrets", "configs"].flatMap { name -> [(HTTPMethod, String)] in
            [
                (.GET, "/\(name)"), (.POST, "/\(name)/create"), (.GET, "/\(name)/{id}"), (.DELETE, "/\(name)/{id}"),
                (.POST, "/\(name)/{id}/update"),
            ]
        }
        for (method, path) in ofManagers + things { router.on(method, path) { _ in throw Self.noManager } }
        router.on(.POST, "/swarm/leave") { _ in throw EngineError(.unavailable, "This node is not part of a swarm") }
        router.on(.POST, "/swarm/unlock") { _ in throw EngineError(.conflict, "This node is not part of a swarm") }
        for verb in ["init", "join"] {
            router.on(.POST, "/swarm/\(verb)") { _ in
                throw EngineError(.notImplemented, "swarms are not available in this version of Skiff")
            }
        }
    }

    private func addPlugins(to router: inout Router) {
        router.on(.GET, "/plugins") { request in
            try request.query.filters().check(["capability", "enabled"])
            return try .json([String]())
        }
        for (method, path) in [
            (HTTPMethod.GET, "/plugins/privileges"), (.POST, "/plugins/pull"), (.POST, "/plugins/create"),
        ] {
            router.on(method, path) { _ in
                throw EngineError(.notImplemented, "plugins are not available in this version of Skiff")
            }
        }
        for (method, verb) in [(HTTPMethod.GET, ""), (.POST, ""), (.DELETE, "/{checkpoint}")] {
            router.on(method, "/containers/{id}/checkpoints\(verb)") { _ in
                throw EngineError(.notImplemented, "checkpoints are not available in this version of Skiff")
            }
        }
        for (method, verb) in [
            (HTTPMethod.GET, "/json"), (.DELETE, ""), (.POST, "/enable"), (.POST, "/disable"), (.POST, "/upgrade"), (.POST, "/push"), (.POST, "/set"),
        ] {
            router.on(method, "/plugins/{name...}\(verb)") { request in
                throw EngineError(.notFound, "plugin \"\(request.parameter("name"))\" not found")
            }
        }
    }
}
