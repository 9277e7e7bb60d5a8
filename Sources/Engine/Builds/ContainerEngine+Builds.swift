import Archive
import Blocking
import BuildContext
import Builder
import DockerAPI
import Images
import Linux
public import NIOCore
import OCI
import Registry
import Store
import SystemPackage

extension ContainerEngine {
    /// `docker build`: unpacks the context into a directory of its own and builds; progress as Docker's classic builder
    /// tells it.
    public func build(_ parameters: BuildParameters, context body: any UploadSource, send: @escaping MessageSender) async throws {
        var undo = UndoStack()
        do {
            // First of all, so that what was handed in goes with the build, however that ends.
            let taken = await takeDeposits(parameters, &undo)
            let caches = try Self.cachePlaces(parameters)
            let deposited = try Self.deposited(taken, parameters, caches.from)
            let attachments = try BuildAttachments(parameters)
            let lock = try Self.inputLock(parameters, taken, isNeeded: !attachments.attestations.isEmpty)
            try checkPlatform(parameters.platform)
            let tags = try parameters.tags.map { try Self.reference($0, tag: "") }
            var request = try await request(parameters, body, tags, deposited.contexts, lock, &undo)
            request.secrets = deposited.secrets
            request.attachments = attachments.annotations
            request.attestations = attachments.attestations
            request.squashes = parameters.squashes
            request.explainsCache = parameters.explainsCache
            request.agents = try Self.agents(parameters.agents)
            request.findImage = baseImages(parameters, send)
            if parameters.opensShell { request.openShell = { [self] in try await openShell(after: $0, send, visit: $1) } }
            guard parameters.call == "build" else {
                try await tell(parameters.call, request, send)
                return await undo.run(context.logger)
            }
            try await addCaches(to: &request, caches, deposited.caches, parameters, &undo, send)
            let image = try await builds.run(request) { progress in
                await Self.report(progress, send)
            }
            if parameters.locks, let lock { try await Self.tell(lock, send) }
            for tag in tags {
                events.publish("image", "tag", id: image.id.description, attributes: ["name": tag.familiarString])
            }
            await undo.run(context.logger)
            await cacheLimit.buildEnded(self)
        } catch BuildError.contextIsBorrowed {
            await undo.run(context.logger)
            try await Self.askForContext(send)
        } catch {
            await undo.run(context.logger)
            throw error
        }
    }

    private static func askForContext(_ send: MessageSender) async throws {
        try await send(JSONMessage { $0.SendContext = true })
    }

    private func checkPlatform(_ platform: String) throws {
        let own = ["linux", context.host.architecture]
        guard platform.split(separator: "/").prefix(2).elementsEqual(own.prefix(platform.isEmpty ? 0 : 2), by: ==) else {
            throw EngineError(
                .notImplemented,
                "building for \(platform) is not available in this version of Skiff: this machine is \(own.joined(separator: "/"))")
        }
    }

    /// Nil when nobody wants to know what the build takes from elsewhere.
    private static func inputLock(_ parameters: BuildParameters, _ taken: BuildDeposits.Taken, isNeeded: Bool) throws -> InputLock? {
        guard let id = parameters.lockID else { return parameters.locks || isNeeded ? InputLock() : nil }
        return InputLock(obeying: try taken.lock(id))
    }

    private static func tell(_ lock: InputLock, _ send: MessageSender) async throws {
        let text = String(decoding: try lock.file.serialized(), as: UTF8.self)
        try await send(JSONMessage { $0.Lock = text })
    }

    private static func cachePlaces(_ parameters: BuildParameters) throws -> (from: [CachePlace], to: [CachePlace]) {
        do {
            return (try parameters.cacheSources.map(CachePlace.source), try parameters.cacheTargets.map(CachePlace.target))
        } catch {
            throw EngineError(.invalidArgument, "\(error)")
        }
    }

    /// Opens the caches that the build may take from, and says where its own steps go.
    private func addCaches(
        to request: inout BuildRequest, _ places: (from: [CachePlace], to: [CachePlace]), _ folders: [String: FilePath],
        _ parameters: BuildParameters, _ undo: inout UndoStack, _ send: @escaping MessageSender
    ) async throws {
        let say: @Sendable (String) async throws -> Void = { text in
            var message = JSONMessage()
            message.stream = text
            if !parameters.quiet { try await send(message) }
        }
        request.inlinesSteps = places.to.contains { $0.kind == .inline }
        if request.inlinesSteps, parameters.squashes {
            throw EngineError(.invalidArgument, "an inline cache needs the layers that --squash takes away")
        }
        if !parameters.noCache {
            let reader = CacheImport(images: images, registries: context.registries, auth: parameters.auth, folders: folders, say: say)
            request.imports = try await reader.read(places.from)
        }
        guard places.to.contains(where: { $0.kind != .inline }) else { return }
        let (build, deposits) = (makeID(), deposits)
        undo.add("begin the time of caches") { await deposits.buildEnded(build) }
        let export = CacheExport(
            images: images, registries: context.registries, auth: parameters.auth, deposits: deposits, build: build,
            temporary: context.paths.temporary, say: say
        ) { deposit in
            try await send(JSONMessage { $0.Cache = deposit })
        }
        request.exportSteps = { try await export.write($0, to: places.to) }
    }

    /// Takes what the client has handed in for this build, also beside what is wrong with the request.
    private func takeDeposits(_ parameters: BuildParameters, _ undo: inout UndoStack) async -> BuildDeposits.Taken {
        // A place that cannot be read is told right after.
        let folders = parameters.cacheSources.compactMap { (try? CachePlace.source($0))?.folder }
        let ids = (folders + parameters.namedContexts.values).compactMap(Self.deposit) + [parameters.secretsID, parameters.lockID].compactMap(\.self)
        let taken = await deposits.take(ids)
        for directory in taken.directories {
            undo.add("remove what was handed in") { try await blocking { try removeTree(directory) } }
        }
        return taken
    }

    /// The name of what was handed in.
    private static func deposit(_ text: String) -> String? {
        text.hasPrefix(CachePlace.deposit) ? String(text.dropFirst(CachePlace.deposit.count)) : nil
    }

    /// Secrets, named contexts by name, and caches by what stands for them.
    private static func deposited(_ taken: BuildDeposits.Taken, _ parameters: BuildParameters, _ sources: [CachePlace]) throws
        -> (secrets: [String: [UInt8]], contexts: [String: FilePath], caches: [String: FilePath])
    {
        var caches: [String: FilePath] = [:]
        for place in sources where place.kind == .local {
            guard let id = deposit(place.folder) else {
                throw EngineError(.invalidArgument, "type=local is a folder of the client, which has to hand it in: skiff build does")
            }
            caches[place.folder] = try taken.context(id)
        }
        var contexts: [String: FilePath] = [:]
        for (name, text) in parameters.namedContexts {
            if let id = deposit(text) { contexts[name] = try taken.context(id) }
        }
        return (try parameters.secretsID.map { try taken.secrets($0) } ?? [:], contexts, caches)
    }

    /// Looks at the Dockerfile without building it.
    private func tell(_ call: String, _ request: BuildRequest, _ send: MessageSender) async throws {
        var message = JSONMessage()
        switch call {
        case "check":
            let warnings = try await builds.check(request)
            let count = warnings.count
            let result = count == 0 ? "no warnings found." : "\(count) warning\(count == 1 ? " has" : "s have") been found!"
            message = JSONMessage { $0.Warnings = count }
            message.stream = "Check complete, \(result)\n" + warnings.map { "\nWARNING: \($0)\n" }.joined()
        case "outline": message.stream = try await builds.outline(request)
        case "targets": message.stream = try await builds.targets(request)
        default: throw EngineError(.invalidArgument, "invalid call \(call): one of build, check, outline, targets is possible")
        }
        try await send(message)
    }

    /// Brings the files of the build together.
    private func request(
        _ parameters: BuildParameters, _ body: any UploadSource, _ tags: [Reference], _ deposited: [String: FilePath],
        _ lock: InputLock?, _ undo: inout UndoStack
    ) async throws -> BuildRequest {
        if !parameters.contextFolder.isEmpty {
            guard let folder = try await LocalContext.open(parameters.contextFolder, identity: parameters.contextIdentity) else {
                throw BuildError.contextIsBorrowed
            }
            return try await withContexts(Self.request(parameters, .borrowed(folder), tags, lock), parameters, deposited, &undo)
        }
        let directory = try await temporaryDirectory("context", &undo)
        if parameters.remote.isEmpty {
            try await Self.unpack(body, into: directory)
            return try await withContexts(Self.request(parameters, .directory(directory), tags, lock), parameters, deposited, &undo)
        }
        let scratch = try await temporaryDirectory("fetch", &undo)
        let fetched = try await RemoteContext(files: builds.remoteFiles, lock: lock).fetch(
            parameters.remote, to: directory, scratch: scratch,
            keepsGitDirectory: ["1", "true"].contains(parameters.buildArguments["BUILDKIT_CONTEXT_KEEP_GIT_DIR"] ?? nil))
        var request = Self.request(parameters, .directory(fetched.directory), tags, lock)
        request.contextAddress = parameters.remote
        if let dockerfile = fetched.dockerfile { request.dockerfile = .bytes(dockerfile) }
        return try await withContexts(request, parameters, deposited, &undo)
    }

    /// The engine and its client are on one machine, so that the engine can reach the client's agent itself.
    private static func agents(_ given: [String: String]) throws -> [String: FilePath] {
        try given.mapValues { text in
            let path = FilePath(text)
            guard path.isAbsolute, try lstatIfExists(path)?.kind == .socket else {
                throw EngineError(.invalidArgument, "\(text) is not the socket of an SSH agent on the engine's machine")
            }
            return path
        }
    }

    private func temporaryDirectory(_ kind: String, _ undo: inout UndoStack) async throws -> FilePath {
        let directory = context.paths.temporary.appending("\(kind)-\(makeID())")
        undo.add("remove the build's \(kind)") { try await blocking { try removeTree(directory) } }
        try await blocking { try Self.makeContextDirectory(directory) }
        return directory
    }

    /// Commands that mount a context may be anybody's; from outside the directory above it is closed.
    static func makeContextDirectory(_ path: FilePath) throws {
        try makeDirectories(path)
        try fchmod(try OwnedFD.open(path, [.readOnly, .directory]), mode: 0o755)
    }

    private func withContexts(
        _ request: BuildRequest, _ parameters: BuildParameters, _ deposited: [String: FilePath], _ undo: inout UndoStack
    ) async throws -> BuildRequest {
        var request = request
        for (name, text) in parameters.namedContexts {
            if let directory = deposited[name] {
                request.namedContexts[name.lowercased()] = .directory(directory)
                continue
            }
            request.namedContexts[name.lowercased()] = try await namedContext(name, text, request.lock, &undo)
            if ContextAddress.isAddress(text) { request.contextAddresses[name.lowercased()] = text }
        }
        return request
    }

    private func namedContext(_ name: String, _ text: String, _ lock: InputLock?, _ undo: inout UndoStack) async throws
        -> BuildRequest.NamedContext
    {
        if text.hasPrefix("docker-image://") { return .image(String(text.dropFirst("docker-image://".count))) }
        guard ContextAddress.isAddress(text) else {
            throw EngineError(.invalidArgument, "invalid named context \(name)=\(text): only folders, docker-image:// and addresses are possible")
        }
        let directory = try await temporaryDirectory("context", &undo)
        let scratch = try await temporaryDirectory("fetch", &undo)
        let fetched = try await RemoteContext(files: builds.remoteFiles, lock: lock).fetch(text, to: directory, scratch: scratch)
        guard fetched.dockerfile == nil else { throw EngineError(.invalidArgument, "\(name)=\(text) is no archive") }
        return .directory(fetched.directory)
    }

    /// Looks in the store first, unless the client wants what the registries have now.
    private func baseImages(_ parameters: BuildParameters, _ send: @escaping MessageSender) -> @Sendable (String) async throws -> Image {
        { [self] name in
            if !parameters.pulls {
                do {
                    return try await images.image(name)
                } catch ImageError.notFound {
                    // Asked for at the registry below.
                }
            }
            let reference = try Self.pullReference(name, tag: "").withDefaultTag()
            let credentials = parameters.auth?.credentials(for: reference.domain) ?? .anonymous
            let board = ProgressBoard()
            let transfer = try await Transfer(board) { [self] in try await pull(reference, credentials, nil, board) }
            try await transfer.run { message in if !parameters.quiet { try await send(message) } }
            return try await images.image("\(reference)")
        }
    }

    static func unpack(_ body: any UploadSource, into directory: FilePath) async throws {
        try await ByteBridge.upload(body) { source in
            let root = try OwnedFD.open(directory, [.readOnly, .directory])
            let options = ExtractionOptions(whiteouts: .asFiles, makesDevices: false)
            try Extraction(into: root, options: options).run(TarReader(try decompressing(source)))
        }
    }

    private static func request(
        _ parameters: BuildParameters, _ context: BuildRequest.Context, _ tags: [Reference], _ lock: InputLock?
    ) -> BuildRequest {
        var limits = BuildLimits()
        limits.memoryBytes = parameters.memoryBytes
        limits.memorySwapBytes = parameters.memorySwapBytes
        limits.cpuShares = parameters.cpuShares
        limits.cpuPeriod = parameters.cpuPeriod
        limits.cpuQuota = parameters.cpuQuota
        limits.cpusetCPUs = parameters.cpusetCPUs
        limits.cpusetMems = parameters.cpusetMems
        limits.shmSizeBytes = parameters.shmSizeBytes
        limits.cgroupParent = parameters.cgroupParent
        limits.extraHosts = parameters.extraHosts
        limits.ulimits = parameters.ulimits.map { ulimit in
            let soft = ulimit.Soft ?? 0
            return BuildLimits.Ulimit(name: ulimit.Name ?? "", soft: soft, hard: ulimit.Hard ?? soft)
        }
        var request = BuildRequest(
            dockerfile: .inContext(parameters.dockerfile), context: context, tags: tags,
            buildArgs: parameters.buildArguments, labels: parameters.labels, target: parameters.target,
            noCache: parameters.noCache, noCacheStages: Set(parameters.noCacheStages.map { $0.lowercased() }),
            networkMode: parameters.networkMode.isEmpty ? "default" : parameters.networkMode,
            limits: limits, quiet: parameters.quiet)
        request.lock = lock
        return request
    }

    private static func report(_ progress: BuildProgress, _ send: MessageSender) async {
        var message = JSONMessage()
        switch progress {
        case .stream(let text): message.stream = text
        case .image(let id, let isNew):
            message = JSONMessage { aux in
                aux.ID = id.description
                if !isNew { aux.Reused = true }
            }
        }
        // A client that went away is noticed by the connection, which cancels the build.
        try? await send(message)
    }
}

extension EngineError {
    /// The exit code of a build's command that failed.
    public static func exitCode(of error: any Error) -> Int? {
        if case BuildError.command(_, let code) = error { return Int(code) }
        return nil
    }

    /// The message as one piece of a command's error output.
    public func streamText(terminal: Bool) -> ByteBuffer {
        let text = ByteBuffer(string: message + "\r\n")
        return terminal ? text : SupervisorFrame(kind: .stderr, payload: text).encoded
    }
}
