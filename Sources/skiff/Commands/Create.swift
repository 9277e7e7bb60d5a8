import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import OCI
import SystemPackage

extension Command {
    static func create() -> Command {
        Command(
            name: "create", usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]", summary: "Create a container without starting it",
            arguments: .atLeast(1), flags: ContainerFlags.all, stopsAtFirstArgument: true
        ) { call in
            let request = try ContainerRequest(call, attaches: true).make()
            try call.program.print(try await ContainerCreation(call: call).run(request))
            return 0
        }
    }
}

/// Makes a container, and gets its image first where that is wanted.
struct ContainerCreation: Sendable {
    let call: Invocation

    private var engine: EngineClient { call.program.engine }

    /// The id of the new container.
    func run(_ request: ContainerCreateRequest) async throws -> String {
        let file = call[ContainerFlags.cidfile]
        guard file.isEmpty || !FileManager.default.fileExists(atPath: file) else {
            throw UsageError("container ID file found, make sure the other container isn't running or delete \(file)")
        }
        let pull = call[ContainerFlags.pull]
        guard ["always", "missing", "never", ""].contains(pull) else {
            throw UsageError("invalid pull option: '\(pull)': must be one of \"always\", \"missing\" or \"never\"")
        }
        if pull == "always" { try await getImage() }
        let response = try await create(request, mayPull: pull == "missing" || pull.isEmpty)
        for warning in (response["Warnings"]?.array ?? []).compactMap(\.string) { try call.program.warn("WARNING: \(warning)") }
        guard let id = response["Id"]?.string else { throw CommandFailure("the engine does not say which container it is") }
        if !file.isEmpty {
            let handle = try OwnedFD.open(FilePath(file), [.writeOnly, .create, .exclusive], mode: 0o644)
            try handle.writeAll(Array(id.utf8))
        }
        return id
    }

    private func create(_ request: ContainerCreateRequest, mayPull: Bool) async throws -> JSONValue {
        var query: [(String, String)] = []
        if !call[ContainerFlags.name].isEmpty { query.append(("name", call[ContainerFlags.name])) }
        if !call[ContainerFlags.platform].isEmpty { query.append(("platform", call[ContainerFlags.platform])) }
        let post = EngineRequest(.post, "/containers/create", query: query, body: try EngineClient.json(request))
        do {
            return try await engine.value(post)
        } catch let error as EngineClientError
            where mayPull && error.status == 404 && error.message.hasPrefix("No such image")
        {
            try call.program.warn("Unable to find image '\(ImageName.tagged(call.arguments[0]))' locally")
            try await getImage()
            return try await engine.value(post)
        }
    }

    private func getImage() async throws {
        let reference = try Reference(call.arguments[0]).withDefaultTag()
        let progress = ProgressDisplay(stream: .error, isQuiet: call[ContainerFlags.quiet])
        do {
            try await ImagePull(program: call.program, platform: call[ContainerFlags.platform]).run(reference, progress)
        } catch let error as CommandFailure {
            // The command decides what its failure is reported as.
            throw ImageMissing(description: error.message)
        }
    }
}

/// The image could not be had.
private struct ImageMissing: Error, CustomStringConvertible {
    let description: String
}
