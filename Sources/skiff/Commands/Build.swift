import BuildContext
import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import OCI
import SystemPackage

/// The flags of `build`.
enum BuildFlags {
    static let tag = Flag<[String]>.list("tag", short: "t", "Name of the image")
    static let file = Flag<String>.text("file", short: "f", "The Dockerfile; - is standard input")
    static let argument = Flag<[String]>.list("build-arg", "Value of a build argument")
    static let label = Flag<[String]>.list("label", "Set a label of the image")
    static let target = Flag<String>.text("target", "Stage to build")
    static let platform = Flag<String>.text("platform", "Platform of the image")
    static let noCache = Flag<Bool>.toggle("no-cache", "Run every step again")
    static let noCacheFilter = Flag<[String]>.list("no-cache-filter", as: "stage", "Run every step of these stages again")
    static let pull = Flag<Bool>.toggle("pull", "Look for newer base images")
    static let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only the id of the image")
    static let progress = Flag<String>.text("progress", initially: "auto", "How progress is shown: auto, plain, tty, quiet or rawjson")
    static let network = Flag<String>.text("network", initially: "default", "Network of the steps")
    static let idFile = Flag<String>.text("iidfile", "Write the id of the image to this file")
    static let metadataFile = Flag<String>.text("metadata-file", "Write what is known of the result to this file, as JSON")
    static let secret = Flag<[String]>.list("secret", as: "secret", "A secret for RUN --mount: id=NAME[,src=FILE|,env=VARIABLE]")
    static let ssh = Flag<[String]>.list("ssh", as: "agent", "An SSH agent for RUN --mount: default|ID[=SOCKET]")
    static let context = Flag<[String]>.list("build-context", as: "name=value", "A named context: a folder, docker-image://… or an address") {
        _ = try ContextFlag.parse($0)
    }
    static let output = Flag<[String]>.list(
        "output", short: "o", as: "output", "Where the result goes: type=local|tar|oci|docker|image|registry,dest=…"
    ) {
        _ = try OutputFlag.parse($0)
    }
    static let push = Flag<Bool>.toggle("push", "Push the image; the same as --output type=registry")
    static let load = Flag<Bool>.toggle("load", "Keep the image in the engine, as it always is")
    static let explain = Flag<Bool>.toggle("explain-cache", "Tell of each step that is done why it could not come from the cache")
    static let verify = Flag<Bool>.toggle("verify", "Build twice and compare; tells the first file that differs")
    static let debug = Flag<Bool>.toggle("debug", "When a step fails, open a shell in the state before it")
    static let lock = Flag<String>.text("lock", "Write what the build takes from elsewhere to this file: digests of images and files, Git commits")
    static let locked = Flag<String>.text("locked", "Take exactly what this file of --lock says, or fail")
    static let cacheFrom = Flag<[String]>.list(
        "cache-from", as: "cache", "Where results of other builds come from: an image, or type=registry,ref=…|local,src=…"
    ) {
        text in try readable { _ = try CachePlace.source(text) }
    }
    static let cacheTo = Flag<[String]>.list(
        "cache-to", as: "cache", "Where the results of this build go: type=registry,ref=…|local,dest=…|inline[,mode=min|max]"
    ) {
        text in try readable { _ = try CachePlace.target(text) }
    }

    static let annotation = Flag<[String]>.list(
        "annotation", as: "annotation", "Annotate what stands for the image in registries and archives: [manifest|index…:]KEY=VALUE"
    ) {
        text in try readable { _ = try BuildAnnotation.parse(text) }
    }
    static let attest = Flag<[String]>.list(
        "attest", as: "attestation", "Let a statement go with the image: type=provenance[,mode=min|max][,version=v0.2|v1] or type=sbom")
    static let provenance = Flag<String>.text("provenance", "The same as --attest type=provenance: true, false or options")
    static let sbom = Flag<String>.text("sbom", "The same as --attest type=sbom: true or false")

    private static func readable(_ parse: () throws -> Void) throws {
        do {
            try parse()
        } catch {
            throw FlagValueError("\(error)")
        }
    }

    static let check = Flag<Bool>.toggle("check", "Look at the Dockerfile and build nothing")
    static let call = Flag<String>.text("call", initially: "build", "What to do: build, check, outline or targets")
    static let ulimit = HostFlags.ulimit

    static let limits: [any FlagDefinition] = [
        HostFlags.memory, HostFlags.memorySwap, HostFlags.shmSize, HostFlags.addHost, HostFlags.ulimit, HostFlags.cpuShares,
        HostFlags.cpuPeriod, HostFlags.cpuQuota, HostFlags.cpusetCpus, HostFlags.cpusetMems, HostFlags.cgroupParent,
    ]

    /// Known to Docker, and not to be had here: refused rather than passed over.
    static let refused: [Flag<[String]>] = [
        "allow", "builder", "security-opt", "isolation",
    ].map { Flag<[String]>.list($0, "Not available").hidden() }

    static let squash = Flag<Bool>.toggle("squash", "Make one layer of all that the build adds to its base")

    /// Say what is so anyway.
    static let granted: [any FlagDefinition] = [
        Flag<Bool>.toggle("rm", initially: true, "Remove intermediate containers").hidden(),
        Flag<Bool>.toggle("force-rm", "Always remove intermediate containers").hidden(),
        Flag<Bool>.toggle("compress", "Ignored").hidden(),
        RenamedFlag(name: "print", of: call),
    ]

    static var all: [any FlagDefinition] {
        [
            tag, file, argument, label, target, platform, noCache, noCacheFilter, pull, quiet, progress, network, idFile,
            metadataFile, secret, ssh, context, cacheFrom, cacheTo, lock, locked, annotation, attest, provenance, sbom, output, push, load, check,
            call, explain, verify, squash,
            debug,
        ] + limits + refused + granted
    }
}

extension Command {
    static func build() -> Command {
        Command(
            name: "build", usage: "[OPTIONS] PATH | URL | -", summary: "Build an image from a Dockerfile", arguments: .exactly(1),
            flags: BuildFlags.all, signalFlag: BuildFlags.debug
        ) { call in
            let build = try ImageBuild(call)
            guard let shell = build.shell else { return try await build.run() }
            return try await shell.during { try await build.run() }
        }
    }
}

/// One call of `build`: sends what the engine needs, shows how it goes, puts the result where it is wanted.
struct ImageBuild {
    let call: Invocation
    private let outputs: [OutputFlag]
    private let attachments: BuildAttachmentFlags
    private let progress: BuildDisplay.Style
    let shell: FailedStepShell?

    init(_ call: Invocation) throws {
        self.call = call
        for flag in BuildFlags.refused where call.flags.isGiven(flag) {
            throw CommandFailure("--\(flag.name) is not available in this version of Skiff")
        }
        var outputs = try call[BuildFlags.output].map(OutputFlag.parse)
        if call[BuildFlags.push] {
            if outputs.contains(where: { $0.kind != .image && $0.kind != .registry }) {
                throw CommandFailure("push and \(outputs.map(\.kind.rawValue).joined(separator: ", ")) output can't be used together")
            }
            outputs.append(OutputFlag(kind: .registry, pushes: true))
        }
        self.outputs = outputs
        attachments = try BuildAttachmentFlags(call, outputs)
        shell = call[BuildFlags.debug] ? try FailedStepShell(program: call.program) : nil
        progress = try BuildDisplay.Style(call[BuildFlags.quiet] ? "quiet" : call[BuildFlags.progress])
    }

    /// Whether standard output is for the result alone.
    private var isStreaming: Bool { outputs.contains(where: \.isStream) }

    private var tags: [String] { call[BuildFlags.tag] + outputs.flatMap(\.names) }

    func run() async throws -> Int32 {
        if outputs.contains(where: \.pushes), tags.isEmpty {
            throw CommandFailure("tag is needed when pushing to registry")
        }
        let action = call[BuildFlags.check] ? "check" : call[BuildFlags.call]
        guard ["build", "check", "outline", "targets"].contains(action) else {
            throw CommandFailure("invalid call \"\(action)\": one of build, check, outline, targets is possible")
        }
        if action == "build", !attachments.query.isEmpty, try await !engineSays("skiff-attests-builds") {
            throw CommandFailure("the engine knows no annotations and attestations, and would build without them")
        }
        let arguments = self.arguments
        let result = try await send(action, arguments)
        if action != "build" { return (result.warnings ?? 0) > 0 ? 1 : 0 }
        guard let id = result.id else { throw CommandFailure("the engine has not told which image was built") }
        // They wait for a while only.
        try await BuildCaches(call: call).take(result.caches)
        if call[BuildFlags.verify] { try await verify(id, arguments) }
        let pushed = try await BuildOutput(call: call, id: id, tags: tags, isNew: !result.isReused, attachments: attachments)
            .deliver(outputs)
        if progress == .quiet, !isStreaming { try call.program.print(id) }
        try writeFiles(id, result, pushed: pushed)
        return 0
    }

    /// Lets the engine read the context where it is, if it can, and sends it otherwise.
    private func send(_ action: String, _ arguments: [String], isSecond: Bool = false) async throws -> BuildDisplay.Outcome {
        let outcome = try await send(try await request(action, arguments, isSecond: isSecond))
        guard outcome.wantsContext else { return outcome }
        return try await send(try await request(action, arguments, isSecond: isSecond, sendsContext: true))
    }

    private func send(_ request: EngineRequest) async throws -> BuildDisplay.Outcome {
        let display = BuildDisplay(style: progress, stream: isStreaming ? .error : .output, shell: shell)
        do {
            return try await call.program.engine.open(request) { try await display.show($0) }
        } catch {
            if let excerpt = DockerfileExcerpt(path: dockerfile, error: "\(error)")?.text { try call.program.warn(excerpt) }
            throw error
        }
    }

    /// As the user would find it; of no use where it comes from elsewhere.
    private var dockerfile: String {
        if !call[BuildFlags.file].isEmpty { return call[BuildFlags.file] }
        return call.arguments[0].hasSuffix("/") ? "\(call.arguments[0])Dockerfile" : "\(call.arguments[0])/Dockerfile"
    }

    /// Those of the command line, and the time that nothing in the image may be later than if there is one.
    private var arguments: [String] {
        let given = call[BuildFlags.argument]
        if given.contains(where: { $0 == "SOURCE_DATE_EPOCH" || $0.hasPrefix("SOURCE_DATE_EPOCH=") }) { return given }
        if call.program.environment["SOURCE_DATE_EPOCH"] != nil { return given + ["SOURCE_DATE_EPOCH"] }
        // Twice the same needs one time for both.
        return call[BuildFlags.verify] ? given + ["SOURCE_DATE_EPOCH=\(Timestamp.now().seconds)"] : given
    }

    /// Builds once more without the cache. The second image has no name, and goes if it is another one.
    private func verify(_ id: String, _ arguments: [String]) async throws {
        let again = try await send("build", arguments, isSecond: true)
        guard let second = again.id else { throw CommandFailure("the engine has not told which image was built") }
        if second == id { return try call.program.warn("Verified: the second build has given the same image") }
        let query = [("from", id), ("to", second)]
        let difference = try await call.program.engine.get(
            ImageDifferenceResponse.self, EngineRequest(.get, "/images/diff", query: query))
        if !again.isReused { await BuildOutput.discard(second, call.program) }
        let first = difference.Files?.first { $0.Kind != "changed" || !($0.Changes ?? []).isEmpty }
        let what = first.map { "the first file that differs is \($0.Path ?? "")" } ?? "their files are the same, only their configurations differ"
        throw CommandFailure("the second build has given another image, \(second): \(what)")
    }

    private func writeFiles(_ id: String, _ result: BuildDisplay.Outcome, pushed: String?) throws {
        if !call[BuildFlags.lock].isEmpty {
            guard let lock = result.lock else { throw CommandFailure("the engine has not told what the build has taken from elsewhere") }
            let place = Paths.absolute(call[BuildFlags.lock], in: call.program.workingDirectory)
            try writeAtomically(Array(lock.utf8), to: FilePath(place), mode: 0o644, sync: false)
        }
        if !call[BuildFlags.idFile].isEmpty {
            try writeAtomically(Array(id.utf8), to: FilePath(call[BuildFlags.idFile]), mode: 0o644, sync: false)
        }
        guard !call[BuildFlags.metadataFile].isEmpty else { return }
        var metadata: [(String, JSONValue)] = [
            ("containerimage.config.digest", .string(id)), ("containerimage.digest", .string(pushed ?? id)),
        ]
        let names = try tags.map { "\(try Reference($0).withDefaultTag())" }
        if !names.isEmpty { metadata.append(("image.name", .string(names.joined(separator: ",")))) }
        let text = JSONValue.object(metadata).serialized()
        try writeAtomically(text, to: FilePath(call[BuildFlags.metadataFile]), mode: 0o644, sync: false)
    }

    // MARK: The request

    private func request(_ action: String, _ arguments: [String], isSecond: Bool = false, sendsContext: Bool = false) async throws
        -> EngineRequest
    {
        let place = call.arguments[0]
        if place == "-", call[BuildFlags.verify] { throw CommandFailure("--verify needs a context that can be read twice") }
        var query = try await self.query(action, arguments, isSecond)
        var body = EngineRequest.Body.none
        if ContextAddress.isAddress(place) {
            if call[BuildFlags.file] == "-" { throw CommandFailure("a Dockerfile from standard input needs a folder as context") }
            query += [("remote", place), ("dockerfile", call[BuildFlags.file])]
        } else {
            let context = try BuildContext.open(
                place, dockerfile: call[BuildFlags.file], workingDirectory: call.program.workingDirectory)
            query.append(("dockerfile", context.dockerfile))
            if let folder = context.folder, !sendsContext, try await engineReadsFolders() {
                query += [("folder", folder.path), ("folderidentity", folder.identity)]
            } else {
                body = .stream(type: "application/x-tar", next: context.next)
            }
        }
        var request = EngineRequest(.post, "/build", query: query, body: body)
        request.headers = try await Logins(call.program.environment).allHeader()
        return request
    }

    /// Docker's engine wants an archive, and so do older ones of ours.
    private func engineReadsFolders() async throws -> Bool {
        guard call.program.engine.isOnThisMachine else { return false }
        return try await engineSays("skiff-reads-folders")
    }

    /// What an engine does not know it does not do, and says nothing.
    private func engineSays(_ header: String) async throws -> Bool {
        try await call.program.engine.open(EngineRequest(.get, "/_ping")) { $0.header(header) != nil }
    }

    private func query(_ action: String, _ arguments: [String], _ isSecond: Bool) async throws -> [(String, String)] {
        var query = [("rm", "1"), ("networkmode", call[BuildFlags.network])]
        if !isSecond { query += tags.map { ("t", $0) } }
        if call[BuildFlags.squash] { query.append(("squash", "1")) }
        if shell != nil { query.append(("debug", "1")) }
        if call[BuildFlags.explain] { query.append(("explaincache", "1")) }
        if action != "build" { query.append(("call", action)) }
        if call[BuildFlags.noCache] || isSecond { query.append(("nocache", "1")) }
        query += call[BuildFlags.noCacheFilter].flatMap { $0.split(separator: ",") }.map { ("nocachefilter", String($0)) }
        if call[BuildFlags.pull] { query.append(("pull", "1")) }
        if !call[BuildFlags.target].isEmpty { query.append(("target", call[BuildFlags.target])) }
        if !call[BuildFlags.platform].isEmpty { query.append(("platform", call[BuildFlags.platform])) }
        query += try limits()
        query.append(("buildargs", Self.buildArguments(arguments, call.program.environment)))
        query.append(("labels", Self.object(EnvironmentList.labels(call[BuildFlags.label]).mapValues(JSONValue.string))))
        let agents = try call[BuildFlags.ssh].map { try AgentFlag.parse($0, environment: call.program.environment) }
        if !agents.isEmpty {
            let paths = try agents.map { ($0.id, JSONValue.string(try $0.path(workingDirectory: call.program.workingDirectory))) }
            query.append(("ssh", Self.object(Dictionary(paths) { $1 })))
        }
        if let id = try await secrets() { query.append(("secrets", id)) }
        if !isSecond, action == "build" { query += try await BuildCaches(call: call).query() }
        if !isSecond, !call[BuildFlags.lock].isEmpty { query.append(("lock", "1")) }
        if let id = try await lockFile() { query.append(("locked", id)) }
        if action == "build" { query += attachments.query }
        let contexts = try await namedContexts()
        if !contexts.isEmpty { query.append(("contexts", Self.object(contexts.mapValues(JSONValue.string)))) }
        return query
    }

    private func limits() throws -> [(String, String)] {
        var query: [(String, String)] = []
        let numbers: [(String, Int64?)] = [
            ("memory", call[HostFlags.memory]), ("memswap", call[HostFlags.memorySwap]), ("shmsize", call[HostFlags.shmSize]),
            ("cpushares", call[HostFlags.cpuShares]), ("cpuperiod", call[HostFlags.cpuPeriod]), ("cpuquota", call[HostFlags.cpuQuota]),
        ]
        for (name, value) in numbers { if let value { query.append((name, "\(value)")) } }
        let texts = [
            ("cpusetcpus", call[HostFlags.cpusetCpus]), ("cpusetmems", call[HostFlags.cpusetMems]),
            ("cgroupparent", call[HostFlags.cgroupParent]),
        ]
        query += texts.filter { !$0.1.isEmpty }
        query += call[HostFlags.addHost].map { ("extrahosts", $0.replacing("=", with: ":", maxReplacements: $0.contains(":") ? 0 : 1)) }
        if !call[HostFlags.ulimit].isEmpty {
            let ulimits = try call[HostFlags.ulimit].map { try HostRequest.ulimit($0) }
            query.append(("ulimits", String(decoding: try JSONEncoder().encode(ulimits), as: UTF8.self)))
        }
        return query
    }

    /// Secrets go ahead in a body of their own, since addresses of requests are written down here and there.
    private func secrets() async throws -> String? {
        var values: [String: String] = [:]
        for text in call[BuildFlags.secret] {
            let secret = try SecretFlag.parse(text, environment: call.program.environment)
            let value = try secret.value(
                environment: call.program.environment, workingDirectory: call.program.workingDirectory)
            if let value { values[secret.id] = Data(value).base64EncodedString() }
        }
        if values.isEmpty { return nil }
        let request = EngineRequest(.post, "/build/secrets", body: try EngineClient.json(values))
        return try await call.program.engine.get(IDResponse.self, request).Id
    }

    /// Hands in the lock file that the build has to obey.
    private func lockFile() async throws -> String? {
        guard !call[BuildFlags.locked].isEmpty else { return nil }
        let path = Paths.absolute(call[BuildFlags.locked], in: call.program.workingDirectory)
        let bytes: [UInt8]
        do {
            bytes = try OwnedFD.open(FilePath(path), .readOnly).readAll(limit: DocumentLimit.lockFile)
        } catch {
            throw CommandFailure("failed to read the lock file: open \(path): \(error.errno)")
        }
        let request = EngineRequest(.post, "/build/locks", body: .bytes(bytes, type: "application/json"))
        return try await call.program.engine.get(IDResponse.self, request).Id
    }

    private func namedContexts() async throws -> [String: String] {
        var contexts: [String: String] = [:]
        for context in try call[BuildFlags.context].map(ContextFlag.parse) {
            contexts[context.name] = context.value
            guard context.isFolder else { continue }
            let files = try BuildContext.folder(context.value, workingDirectory: call.program.workingDirectory)
            let request = EngineRequest(
                .post, "/build/contexts", body: .stream(type: "application/x-tar", next: files))
            contexts[context.name] = "deposit:" + (try await call.program.engine.get(IDResponse.self, request).Id ?? "")
        }
        return contexts
    }

    /// A name without a value takes the client's; without that one it is null, which leaves the Dockerfile's default.
    private static func buildArguments(_ entries: [String], _ environment: [String: String]) -> String {
        var members: [String: JSONValue] = [:]
        for entry in entries {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            members[parts[0]] = parts.count == 2 ? .string(parts[1]) : environment[parts[0]].map(JSONValue.string) ?? .null
        }
        return object(members)
    }

    private static func object(_ members: [String: JSONValue]) -> String {
        let sorted = members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        return String(decoding: JSONValue.object(sorted).serialized(), as: UTF8.self)
    }
}
