import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import OCI
import SystemPackage

extension Command {
    static func build() -> Command {
        let tag = Flag<[String]>.list("tag", short: "t", "Name of the image")
        let file = Flag<String>.text("file", short: "f", "The Dockerfile; - is standard input")
        let buildArgument = Flag<[String]>.list("build-arg", "Value of a build argument")
        let label = Flag<[String]>.list("label", "Set a label of the image")
        let noCache = Flag<Bool>.toggle("no-cache", "Run every step again")
        let pull = Flag<Bool>.toggle("pull", "Look for newer base images")
        let target = Flag<String>.text("target", "Stage to build")
        let quiet = Flag<Bool>.toggle("quiet", short: "q", "Show only the id of the image")
        let network = Flag<String>.text("network", initially: "default", "Network of the steps")
        let idFile = Flag<String>.text("iidfile", "Write the id of the image to this file")
        let ignored: [any FlagDefinition] = [
            Flag<String>.text("progress", initially: "auto", "How progress is shown").hidden(),
            Flag<Bool>.toggle("rm", initially: true, "Remove intermediate containers").hidden(),
            Flag<Bool>.toggle("force-rm", "Always remove intermediate containers").hidden(),
            Flag<Bool>.toggle("load", "Ignored").hidden(), Flag<Bool>.toggle("compress", "Ignored").hidden(),
            Flag<[String]>.list("cache-from", "Ignored").hidden(),
        ]
        let platform = Flag<String>.text("platform", "Platform of the image")
        let limits: [any FlagDefinition] = [HostFlags.memory, HostFlags.memorySwap, HostFlags.shmSize, HostFlags.addHost]
        return Command(
            name: "build", usage: "[OPTIONS] PATH | -", summary: "Build an image from a Dockerfile", arguments: .exactly(1),
            flags: [tag, file, buildArgument, label, noCache, pull, target, quiet, network, idFile, platform] + limits + ignored
        ) { call in
            let context = try BuildContext.open(
                call.arguments[0], dockerfile: call[file], workingDirectory: call.program.workingDirectory)
            var query = [("dockerfile", context.dockerfile), ("rm", "1"), ("networkmode", call[network])]
            query += call[tag].map { ("t", $0) }
            if call[noCache] { query.append(("nocache", "1")) }
            if call[pull] { query.append(("pull", "1")) }
            if !call[target].isEmpty { query.append(("target", call[target])) }
            if !call[platform].isEmpty { query.append(("platform", call[platform])) }
            if let memory = call[HostFlags.memory] { query.append(("memory", "\(memory)")) }
            if let swap = call[HostFlags.memorySwap] { query.append(("memswap", "\(swap)")) }
            if let size = call[HostFlags.shmSize] { query.append(("shmsize", "\(size)")) }
            query += call[HostFlags.addHost].map { ("extrahosts", $0) }
            query.append(("buildargs", buildArguments(call[buildArgument], call.program.environment)))
            query.append(("labels", object(EnvironmentList.labels(call[label]).mapValues(JSONValue.string))))
            var request = EngineRequest(
                .post, "/build", query: query, body: .stream(type: "application/x-tar", next: context.next))
            request.headers = try await Logins(call.program.environment).allHeader()
            let display = BuildDisplay(isQuiet: call[quiet])
            let id = try await call.program.engine.open(request) { try await display.show($0) }
            if call[quiet], let id { try call.program.print(id) }
            if !call[idFile].isEmpty, let id { try writeAtomically(Array(id.utf8), to: FilePath(call[idFile]), mode: 0o644, sync: false) }
            return 0
        }
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

/// Shows a build as it goes, and what a failing step said last once more at its end.
private struct BuildDisplay: Sendable {
    let isQuiet: Bool

    private static let shownLines = 20

    /// The id of the image.
    func show(_ response: EngineResponse) async throws -> String? {
        var id: String?
        var step = ""
        var said: [String] = []
        try await response.forEachLine { line in
            let message = try JSONDecoder().decode(JSONMessage.self, from: Data(line))
            if let found = message.aux?.ID { id = found }
            if let error = message.errorDetail?.message ?? message.error {
                throw failure(error, code: message.errorDetail?.code, step: step, said: said)
            }
            guard let text = message.stream ?? message.status.map({ $0 + "\n" }) else { return }
            if text.hasPrefix("Step ") {
                step = text
                said = []
            } else if !text.hasPrefix(" --->") {
                said += text.split(whereSeparator: \.isNewline).map(String.init)
                said.removeFirst(max(0, said.count - Self.shownLines))
            }
            if !isQuiet { try StandardStream.output.write(text == " ---> Using cache\n" ? " ---> CACHED\n" : text) }
        }
        return id
    }

    private func failure(_ error: String, code: Int?, step: String, said: [String]) -> CommandFailure {
        let code = Int32(truncatingIfNeeded: code ?? 1)
        let rule = "------\n"
        let recall = step.isEmpty || said.isEmpty ? "" : rule + step + said.map { $0 + "\n" }.joined() + rule
        return CommandFailure(recall + error, code: code == 0 ? 1 : code)
    }
}
