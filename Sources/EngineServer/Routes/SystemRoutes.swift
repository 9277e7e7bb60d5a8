import DockerAPI
import Engine
import FoundationEssentials
import Linux
import NIOCore
import NIOHTTP1

/// `/_ping`, `/version`, `/info`, `/events`, `/metrics` and their like.
struct SystemRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        for method in [HTTPMethod.GET, .HEAD] {
            router.on(method, "/_ping") { _ in
                var response = Response.text("OK")
                response.headers.add(name: "Builder-Version", value: "1")
                // `POST /build` knows the parameter `folder`.
                response.headers.add(name: "Skiff-Reads-Folders", value: "1")
                // So it does `annotations` and `attests`.
                response.headers.add(name: "Skiff-Attests-Builds", value: "1")
                response.headers.add(name: "Swarm", value: "inactive")
                response.headers.add(name: "Cache-Control", value: "no-cache, no-store, must-revalidate")
                response.headers.add(name: "Pragma", value: "no-cache")
                return response
            }
        }
        router.on(.GET, "/version") { _ in
            try .json(
                engine.version(api: APIVersion.current.description, minimum: APIVersion.minimum.description))
        }
        router.on(.GET, "/info") { _ in try .json(await engine.info()) }
        router.on(.GET, "/system/df") { request in
            let names = request.query.all("type")
            let parts = try names.map { name in
                guard let part = DiskUsagePart(rawValue: name) else { throw EngineError(.invalidArgument, "unknown object type: \(name)") }
                return part
            }
            return try .json(await engine.diskUsage(names.isEmpty ? Set(DiskUsagePart.allCases) : Set(parts)))
        }
        router.on(.POST, "/system/check") { request in
            try .json(await engine.checkSystem(repairs: request.query.flag("repair")))
        }
        router.on(.POST, "/auth") { request in
            try .json(await engine.authenticate(try await request.decode(AuthConfig.self)))
        }
        router.on(.GET, "/distribution/{name...}/json") { request in
            try .json(await engine.inspectDistribution(request.parameter("name"), auth: try request.registryAuth()))
        }
        router.on(.GET, "/distribution/{name...}/manifest") { request in
            let manifest = try await engine.distributionManifest(request.parameter("name"), auth: try request.registryAuth())
            var response = Response.rawJSON(manifest.bytes)
            response.headers.replaceOrAdd(name: "Content-Type", value: manifest.mediaType)
            response.headers.add(name: "Docker-Content-Digest", value: manifest.digest)
            return response
        }
        router.on(.GET, "/metrics") { _ in
            var response = Response.text(try await engine.metrics())
            response.headers.replaceOrAdd(name: "Content-Type", value: "text/plain; version=0.0.4; charset=utf-8")
            return response
        }
        SwarmPluginRoutes().add(to: &router)
        addEvents(to: &router)
    }

    private func addEvents(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/events") { request in
            let since = try TimeParameter.parse(request.query["since"])
            let until = try TimeParameter.parse(request.query["until"])
            let filter = try EventFilter(try request.query.filters())
            // Filters see what the client may see: an answer that there is such an event would tell the rest as well.
            let shown = { @Sendable [hidesSecrets = request.hidesSecrets] (event: EventMessage) in hidesSecrets ? event.withoutCommand : event }
            return .stream("application/json") { writer in
                let (history, live) = engine.events.subscribe(since: since)
                for event in history.lazy.map(shown) where filter.matches(event) && !Self.isLater(event, until) {
                    try await writer.writeLine(event)
                }
                try await Self.follow(live, until: until) { event in
                    let event = shown(event)
                    if filter.matches(event) { try await writer.writeLine(event) }
                }
            }
        }
    }

    private static func isLater(_ event: EventMessage, _ until: Timestamp?) -> Bool {
        until.map { (event.timeNano ?? 0) > $0.unixNanoseconds } ?? false
    }

    /// Until the client leaves, or the moment `until` has come.
    private static func follow(
        _ events: AsyncStream<EventMessage>, until: Timestamp?, _ deliver: @escaping @Sendable (EventMessage) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await event in events { try await deliver(event) } }
            if let until {
                let rest = max(0, until.seconds.subtractingReportingOverflow(Timestamp.now().seconds).partialValue)
                group.addTask { try await Task.sleep(for: .seconds(min(rest, 1 << 31))) }
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
