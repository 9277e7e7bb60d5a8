import Archive
import Blocking
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
        let own = ["linux", context.host.architecture]
        guard parameters.platform.split(separator: "/").prefix(2).elementsEqual(own.prefix(parameters.platform.isEmpty ? 0 : 2), by: ==) else {
            throw EngineError(
                .notImplemented,
                "building for \(parameters.platform) is not available in this version of Skiff: this machine is \(own.joined(separator: "/"))")
        }
        let tags = try parameters.tags.map { try Self.reference($0, tag: "") }
        let directory = context.paths.temporary.appending("context-\(makeID())")
        try await blocking { try makeDirectories(directory) }
        var undo = UndoStack()
        undo.add("remove the build context") { try await blocking { try removeTree(directory) } }
        do {
            try await Self.unpack(body, into: directory)
            var request = Self.request(parameters, directory, tags)
            request.findImage = baseImages(parameters, send)
            let image = try await builds.run(request) { progress in
                await Self.report(progress, send)
            }
            for tag in tags {
                events.publish("image", "tag", id: image.id.description, attributes: ["name": tag.familiarString])
            }
            await undo.run(context.logger)
        } catch {
            await undo.run(context.logger)
            throw error
        }
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

    private static func unpack(_ body: any UploadSource, into directory: FilePath) async throws {
        try await ByteBridge.upload(body) { source in
            let root = try OwnedFD.open(directory, [.path, .directory])
            let options = ExtractionOptions(whiteouts: .asFiles, makesDevices: false)
            try Extraction(into: root, options: options).run(TarReader(try decompressing(source)))
        }
    }

    private static func request(_ parameters: BuildParameters, _ directory: FilePath, _ tags: [Reference]) -> BuildRequest {
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
        return BuildRequest(
            dockerfile: .inContext(parameters.dockerfile), contextDirectory: directory, tags: tags,
            buildArgs: parameters.buildArguments, labels: parameters.labels, target: parameters.target,
            noCache: parameters.noCache, networkMode: parameters.networkMode.isEmpty ? "default" : parameters.networkMode,
            limits: limits, quiet: parameters.quiet)
    }

    private static func report(_ progress: BuildProgress, _ send: MessageSender) async {
        var message = JSONMessage()
        switch progress {
        case .stream(let text): message.stream = text
        case .image(let id):
            var aux = JSONMessage.Aux()
            aux.ID = id.description
            message.aux = aux
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
