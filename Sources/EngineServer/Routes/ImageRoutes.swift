import DockerAPI
import Engine
import FoundationEssentials
import NIOCore
import NIOHTTP1
import OCI

/// `/images/…`.
struct ImageRoutes {
    let engine: ContainerEngine

    func add(to router: inout Router) {
        let engine = engine
        router.on(.GET, "/images/json") { request in
            let images = try await engine.listImages(all: request.query.flag("all"), filters: try request.query.filters())
            return .rawJSON(JSONValue.array(images.map(\.json)).serialized() + Array("\n".utf8))
        }
        router.on(.POST, "/images/prune") { request in
            try .json(await engine.pruneImages(try request.query.filters()))
        }
        router.on(.GET, "/images/search") { request in
            try .json(
                await engine.searchImages(
                    request.query["term"] ?? "", limit: try request.query.integer("limit") ?? 0, filters: try request.query.filters(),
                    auth: try request.registryAuth()))
        }
        router.on(.GET, "/images/get") { request in
            try await Self.save(engine, request.query.all("names").flatMap { $0.split(separator: ",").map(String.init) }, request.query)
        }
        router.on(.GET, "/images/diff") { request in
            try .json(await engine.compareImages(request.query["from"] ?? "", request.query["to"] ?? ""))
        }
        router.on(.GET, "/images/{name...}/get") { request in
            try await Self.save(engine, [request.parameter("name")], request.query)
        }
        router.on(.GET, "/images/{name...}/rootfs") { request in
            let prefix = request.query.flag("attestations") ? request.query["attestationprefix"] ?? "" : nil
            let write = try await engine.imageFiles(request.parameter("name"), attestationPrefix: prefix)
            return .stream("application/x-tar") { writer in try await write { try await writer.write($0) } }
        }
        router.on(.GET, "/images/{name...}/json") { request in
            try .json(await engine.inspectImage(request.parameter("name"), platform: request.query.platform()))
        }
        router.on(.GET, "/images/{name...}/history") { request in
            try .json(await engine.imageHistory(request.parameter("name")))
        }
        router.on(.POST, "/images/{name...}/tag") { request in
            try await engine.tagImage(
                request.parameter("name"), repository: request.query["repo"] ?? "", tag: request.query["tag"] ?? "")
            return .status(.created)
        }
        router.on(.POST, "/images/{name...}/push") { request in
            let query = request.query
            let transfer = try await engine.pushImage(
                request.parameter("name"), tag: query["tag"] ?? "", platform: try PlatformParameter.name(query["platform"]),
                auth: try request.registryAuth())
            return .messages { send in try await transfer.run(send) }
        }
        router.on(.DELETE, "/images/{name...}") { request in
            try .json(
                await engine.removeImage(
                    request.parameter("name"), force: request.query.flag("force"), noPrune: request.query.flag("noprune"),
                    onlyUnnamed: request.query.flag("unnamed")))
        }
        addIncoming(to: &router)
    }

    private func addIncoming(to router: inout Router) {
        let engine = engine
        router.on(.POST, "/images/load") { request in
            let body = request.body
            let platform = try request.query.platform()
            return .messages { send in try await engine.loadImages(body, platform: platform, send: send) }
        }
        router.on(.POST, "/images/create") { request in
            let query = request.query
            guard let source = query["fromSrc"], !source.isEmpty else {
                let transfer = try await engine.pullImage(
                    query["fromImage"] ?? "", tag: query["tag"] ?? "", platform: query["platform"] ?? "", auth: try request.registryAuth())
                return .messages { send in try await transfer.run(send) }
            }
            guard source == "-" else {
                throw EngineError(.notImplemented, "importing from a URL is not available in this version of Skiff")
            }
            var wanted = ImageImport()
            wanted.repository = query["repo"] ?? ""
            wanted.tag = query["tag"] ?? ""
            wanted.message = query["message"] ?? ""
            wanted.changes = query.all("changes")
            let body = request.body
            return .messages { [wanted] send in try await engine.importImage(body, wanted, send: send) }
        }
        router.on(.POST, "/images/bootstrap") { request in
            let query = request.query
            var wanted = ImageBootstrap()
            wanted.reference = query["reference"] ?? ""
            wanted.variant = query["variant"]
            wanted.include = (query["include"] ?? "").split(separator: ",").map(String.init)
            wanted.mirror = query["mirror"]
            wanted.hostCertificates = query.flag("hostCertificates")
            return .messages { [wanted] send in try await engine.bootstrapImage(wanted, send: send) }
        }
        router.on(.POST, "/commit") { request in
            let query = request.query
            var wanted = CommitRequest()
            wanted.repository = query["repo"] ?? ""
            wanted.tag = query["tag"] ?? ""
            wanted.comment = query["comment"] ?? ""
            wanted.author = query["author"] ?? ""
            wanted.pauses = query.flag("pause", default: true)
            wanted.changes = query.all("changes").flatMap { $0.split(separator: "\n").map(String.init) }
            var response = IDResponse()
            response.Id = try await engine.commitContainer(query["container"] ?? "", wanted)
            return try .json(response, status: .created)
        }
    }

    private static func save(_ engine: ContainerEngine, _ names: [String], _ query: Query) async throws -> Response {
        let attestations = query["attestations"] == nil ? nil : query.flag("attestations")
        let write = try await engine.saveImages(names, platform: query.platform(), attestations: attestations)
        return .stream("application/x-tar") { writer in try await write { try await writer.write($0) } }
    }
}

extension Query {
    /// The platform that is wanted, as the API writes it (JSON) or as people do; nil when none is.
    func platform() throws -> PlatformChoice? {
        guard let text = self["platform"], !text.isEmpty else { return nil }
        if let choice = PlatformChoice(text) { return choice }
        // What is neither is told as it came.
        guard let platform = try? JSONDecoder().decode(OCIPlatform.self, from: Data(text.utf8)), let architecture = platform.architecture,
            !architecture.isEmpty
        else { throw EngineError(.invalidArgument, "invalid platform: \(text)") }
        return PlatformChoice(os: platform.os ?? "linux", architecture: architecture, variant: platform.variant)
    }
}

/// `platform` as newer clients send it, `{"os":"linux","architecture":"amd64"}`, or as people write it.
private enum PlatformParameter {
    static func name(_ text: String?) throws -> String {
        guard let text, !text.isEmpty else { return "" }
        guard text.hasPrefix("{") else { return text }
        guard let platform = try? JSONDecoder().decode(OCIPlatform.self, from: Data(text.utf8)) else {  // Which part is wrong does not matter.
            throw EngineError(.invalidArgument, "invalid platform")
        }
        return [platform.os ?? "linux", platform.architecture, platform.variant].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: "/")
    }
}

extension Request {
    /// What the client shows to registries.
    func registryAuth() throws -> RegistryAuth {
        try RegistryAuth(header: headers.first(name: "X-Registry-Auth"), configHeader: headers.first(name: "X-Registry-Config"))
    }
}

extension Response {
    /// Progress as one JSON object a line. The head has gone out when something fails, so the failure is a line too.
    static func messages(
        _ work: @escaping @Sendable (@escaping @Sendable (JSONMessage) async throws -> Void) async throws -> Void
    ) -> Response {
        .stream("application/json") { writer in
            do {
                try await work { try await writer.writeLine($0) }
            } catch {
                var message = JSONMessage()
                var detail = JSONMessage.ErrorDetail()
                detail.message = EngineError.wrapping(error).message
                if case let code? = EngineError.exitCode(of: error) { detail.code = code }
                message.errorDetail = detail
                message.error = detail.message
                try await writer.writeLine(message)
            }
        }
    }
}
