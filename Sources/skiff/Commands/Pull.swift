import EngineClient
import Linux
import OCI

extension Command {
    static func pull() -> Command {
        let allTags = Flag<Bool>.toggle("all-tags", short: "a", "Pull all tags of the repository")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only the name of the image")
        let platform = Flag<String>.text("platform", "Platform of the image, such as linux/arm64")
        let contentTrust = Flag<Bool>.toggle("disable-content-trust", initially: true, "Ignored").hidden()
        return Command(
            name: "pull", usage: "[OPTIONS] NAME[:TAG|@DIGEST]", summary: "Get an image from a registry", arguments: .exactly(1),
            flags: [allTags, quiet, platform, contentTrust]
        ) { call in
            let given = try Reference(call.arguments[0])
            guard !call[allTags] || (given.tag == nil && given.digest == nil) else {
                throw CommandFailure("tag can't be used with --all-tags/-a")
            }
            let reference = call[allTags] ? given : given.withDefaultTag()
            if reference != given, !call[quiet] { try call.program.print("Using default tag: latest") }
            try await ImagePull(program: call.program, platform: call[platform])
                .run(reference, ProgressDisplay(stream: .output, isQuiet: call[quiet]))
            try call.program.print("\(reference)")
            return 0
        }
    }

    static func push() -> Command {
        let allTags = Flag<Bool>.toggle("all-tags", short: "a", "Push all tags of the image")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only the name of the image")
        let platform = Flag<String>.text("platform", "Push only if the image is for this platform")
        let contentTrust = Flag<Bool>.toggle("disable-content-trust", initially: true, "Ignored").hidden()
        return Command(
            name: "push", usage: "[OPTIONS] NAME[:TAG]", summary: "Put an image into a registry", arguments: .exactly(1),
            flags: [allTags, quiet, platform, contentTrust]
        ) { call in
            let given = try Reference(call.arguments[0])
            guard !call[allTags] || given.tag == nil else { throw CommandFailure("tag can't be used with --all-tags/-a") }
            guard given.digest == nil else { throw CommandFailure("cannot push a digest reference") }
            let reference = call[allTags] ? given : given.withDefaultTag()
            if reference != given, !call[quiet] { try call.program.print("Using default tag: latest") }
            var request = EngineRequest(
                .post, "/images/\(EngineRequest.escaped(reference.name))/push", query: [("tag", reference.tag ?? "")])
            if !call[platform].isEmpty { request.query.append(("platform", call[platform])) }
            request.headers = try await Logins(call.program.environment).header(for: reference)
            let display = ProgressDisplay(stream: .output, isQuiet: call[quiet])
            _ = try await call.program.engine.open(request) { try await display.show($0) }
            if call[quiet] { try call.program.print("\(reference)") }
            return 0
        }
    }
}

/// Has the engine get an image, with the user's login.
struct ImagePull: Sendable {
    let program: Program
    let platform: String

    func run(_ reference: Reference, _ display: ProgressDisplay) async throws {
        var query = [("fromImage", reference.name), ("tag", reference.digest?.description ?? reference.tag ?? "")]
        if !platform.isEmpty { query.append(("platform", platform)) }
        var request = EngineRequest(.post, "/images/create", query: query)
        request.headers = try await Logins(program.environment).header(for: reference)
        _ = try await program.engine.open(request) { try await display.show($0) }
    }
}
