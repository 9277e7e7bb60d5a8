import Blocking
import Images
import Linux
import OCI
import Synchronization
import SystemPackage

// `RUN`
extension BuildRun {
    mutating func run(_ command: RunCommand, on state: inout ImageState, stage: Int) async throws {
        let words = command.form.arguments(shell: state.shell)
        let shown = command.script.map { _ in ["<<EOF"] } ?? words
        let createdBy = Self.createdBy(shown, arguments.declared, state)
        let network = command.network.flatMap { $0 == "default" ? nil : $0 } ?? request.networkMode
        let mounts = try await planMounts(command, state, stage: stage)
        var key = CacheKey("run", parent: state.content)
        key.add(createdBy)
        key.add(words)
        key.add(network)
        let hosts = request.limits.extraHosts.sorted()
        let hostname = request.buildArgs["BUILDKIT_SANDBOX_HOSTNAME"].flatMap(\.self) ?? ""
        key.add(hosts)
        key.add(hostname)
        if let script = command.script { key.add(script) }
        for mount in mounts {
            key.add(mount.key)
            key.facts.files.merge(mount.files) { $1 }
        }
        key.facts.surroundings = ([network] + hosts + [hostname] + mounts.map { $0.mount.kind.rawValue + $0.target }).joined(separator: " ")
        let step = RunStep(
            id: RandomHex.make(64), layers: state.layers, upper: "", work: "", args: words,
            env: environment(state), workingDir: state.workingDirectory, user: state.container.user ?? "",
            networkMode: network, limits: request.limits)
        let script = command.script.map { (path: words[0], content: $0) }
        try await finish(state, createdBy, key, on: &state) { run, scratch in
            var step = step
            if !hostname.isEmpty { step.hostname = hostname }
            step.upper = scratch.upper
            step.work = scratch.work
            try await run.execute(step, MountMaking(run: run, planned: mounts, script: script, scratch: scratch))
        }
    }

    private func execute(_ step: RunStep, _ making: MountMaking) async throws {
        let short = step.id.prefix(12)
        await say(" ---> Running in \(short)\n")
        let text = TextStreams()
        let store = build.images.layers
        let (mountPoints, code) = try await store.holding(step.layers + making.layers) {
            try await making.with { made in
                var step = step
                step.mounts = made.mounts
                step.env += made.environment
                let targets = made.mounts.map(\.target)
                let layers = step.layers
                let mountPoints = try await blocking { try MountPoints(layers: layers, targets: targets, store: store) }
                let code = try await build.runner.run(step) { output in
                    await say(text.add(output))
                }
                return (mountPoints, code)
            }
        }
        await say(text.rest())
        try Task.checkCancellation()
        guard code == 0 else { throw BuildError.command(text: step.args.joined(separator: " "), exitCode: code) }
        try await blocking { try mountPoints.clean(step.upper) }
        await say(" ---> Removed intermediate container \(short)\n")
    }

    /// The image's environment, and `ARG`s of other names.
    func environment(_ state: ImageState) -> [String] {
        let known = state.environment
        let added = arguments.visible.filter { known[$0.key] == nil }.map { "\($0.key)=\($0.value)" }
        return (state.container.env ?? []) + added.sorted()
    }

    /// `|1 NAME=value /bin/sh -c …`: the `ARG`s that the command saw belong to what it is.
    private static func createdBy(_ words: [String], _ declared: [String: String], _ state: ImageState) -> String {
        let known = state.environment
        let seen = declared.filter { known[$0.key] == nil }.map { "\($0.key)=\($0.value)" }.sorted()
        let command = words.joined(separator: " ")
        return seen.isEmpty ? command : "|\(seen.count) \(seen.joined(separator: " ")) \(command)"
    }
}

/// Makes text of what a command prints, also when a character arrives in two pieces.
private final class TextStreams: Sendable {
    private let pending = Mutex<[BuildOutput.Stream: [UInt8]]>([:])

    func add(_ output: BuildOutput) -> String {
        pending.withLock { pending in
            let bytes = (pending[output.stream] ?? []) + output.bytes
            let whole = bytes.count - Self.incompleteTail(bytes)
            pending[output.stream] = Array(bytes[whole...])
            return String(decoding: bytes[..<whole], as: UTF8.self)
        }
    }

    /// What never became a whole character.
    func rest() -> String {
        pending.withLock { pending in
            defer { pending = [:] }
            return String(decoding: (pending[.stdout] ?? []) + (pending[.stderr] ?? []), as: UTF8.self)
        }
    }

    /// The number of bytes at the end that begin a character without finishing it.
    private static func incompleteTail(_ bytes: [UInt8]) -> Int {
        for (index, byte) in bytes.suffix(3).reversed().enumerated() where byte & 0xC0 != 0x80 {
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > index + 1 ? index + 1 : 0
        }
        return 0
    }
}
