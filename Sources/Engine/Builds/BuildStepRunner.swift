import Blocking
import Builder
import DockerAPI
import FoundationEssentials
import Images
import Linux
import Logging
import NIOCore
import Networking
import OCI
import SystemPackage

/// Runs the commands of a build in containers that nobody sees: the same namespaces, limits, network and rules as for
/// `docker run`, and nothing of it stays.
struct BuildStepRunner: StepRunner {
    let context: EngineContext
    let registry: ContainerRegistry

    /// Who listens to a command.
    private enum Audience {
        case output(@Sendable (BuildOutput) async -> Void)
        /// Somebody at a terminal, who types as well.
        case visitor(BuildShell.Visitor, BuildShell)
    }

    func run(_ step: RunStep, output: @escaping @Sendable (BuildOutput) async -> Void) async throws -> Int32 {
        try await run(step, for: .output(output))
    }

    /// Runs the step on the terminal of whoever has come for the shell.
    func run(_ step: RunStep, for visitor: BuildShell.Visitor, in shell: BuildShell) async throws -> Int32 {
        try await run(step, for: .visitor(visitor, shell))
    }

    private func run(_ step: RunStep, for audience: Audience) async throws -> Int32 {
        let paths = ContainerPaths(
            id: step.id, data: context.paths.temporary.appending("step-\(step.id)"),
            runtime: context.paths.runtimeBuilds.appending(step.id))
        var undo = UndoStack()
        do {
            let code = try await run(step, paths, &undo, audience)
            await undo.run(context.logger)
            return code
        } catch {
            await undo.run(context.logger)
            throw error
        }
    }

    private func run(
        _ step: RunStep, _ paths: ContainerPaths, _ undo: inout UndoStack, _ audience: Audience
    ) async throws -> Int32 {
        let context = context
        try await blocking {
            for directory in [paths.data, paths.runtime] { try makeDirectories(directory) }
        }
        undo.add("remove the step's files") {
            try await blocking { for directory in [paths.data, paths.runtime] { try removeTree(directory) } }
        }
        var record = try await self.record(step)
        var arguments = ["--id", step.id]
        if case .visitor(let visitor, _) = audience {
            record.config.Tty = true
            record.config.OpenStdin = true
            record.hostConfig.ConsoleSize = [Int(visitor.rows), Int(visitor.columns)]
            arguments.append("--stdin")
        }
        let root = try await blocking {
            SharedFD(try context.images.layers.mount(layers: step.layers, upper: step.upper, work: step.work, isScratch: true))
        }
        undo.add("disconnect the network") { await context.networks.disconnect(containerID: step.id) }
        for attachment in record.attachments {
            let request = EndpointRequest(containerID: step.id, networkID: attachment.networkID)
            record.endpoints.append(try await context.networks.reserve(request))
        }
        let detached = try await detachedMounts(step, paths, &undo)
        try await configure(record, paths, root, Self.mounts(of: step))
        let launched = try await SupervisorLaunch(context: context).run(
            directory: paths.runtime, arguments: arguments, root: root, mounts: detached)
        undo.add("end the step") { [reaper = context.reaper] in
            launched.supervisor.close()
            await reaper.add(launched.supervisorPID)
        }
        do {
            for endpoint in record.endpoints { try await context.networks.connect(endpoint, pid: launched.pid) }
            if !record.endpoints.isEmpty { try await context.networks.serveNames(containerID: step.id, pid: launched.pid) }
            switch audience {
            case .output(let output): return try await follow(launched.supervisor, paths, output)
            case .visitor(let visitor, let shell): return try await converse(launched.supervisor, paths, visitor, shell)
            }
        } catch {
            throw Self.describe(await launched.supervisor.failure(behind: error))
        }
    }

    private static func describe(_ error: any Error) -> any Error {
        (error as? StartFailure).map { EngineError(.invalidArgument, $0.message) } ?? error
    }

    /// A supervisor takes over so many descriptors and no more.
    private static let mostMounts = 32

    private func detachedMounts(_ step: RunStep, _ paths: ContainerPaths, _ undo: inout UndoStack) async throws -> [SharedFD] {
        var mounts: [SharedFD] = []
        for mount in step.mounts {
            switch mount.content {
            case .mount(let mount): mounts.append(mount)
            case .tmpfs: continue
            case .agent(let agent, let mode, let uid, let gid):
                let relay = try await AgentRelay.open(
                    to: agent, at: paths.runtime.appending("agent-\(mounts.count).sock"), mode: mode, uid: uid, gid: gid,
                    group: context.eventLoops)
                undo.add("close the relay to an SSH agent") { try await relay.close() }
                mounts.append(relay.mount)
            }
        }
        guard mounts.count <= Self.mostMounts else {
            throw EngineError(.invalidArgument, "a RUN can have \(Self.mostMounts) mounts at most, this one has \(mounts.count)")
        }
        return mounts
    }

    private static func mounts(of step: RunStep) -> [RuntimeSpec.Mount] {
        var number = 0
        return step.mounts.map { mount in
            switch mount.content {
            case .mount, .agent:
                defer { number += 1 }
                return RuntimeSpec.Mount(destination: mount.target, type: "skiff-detached", source: "\(number)")
            case .tmpfs(let sizeBytes, let isReadOnly):
                let options = ["nosuid", "nodev", "mode=1777"] + (sizeBytes > 0 ? ["size=\(sizeBytes)"] : []) + (isReadOnly ? ["ro"] : [])
                return RuntimeSpec.Mount(destination: mount.target, type: "tmpfs", source: "tmpfs", options: options)
            }
        }
    }

    private func configure(_ record: ContainerRecord, _ paths: ContainerPaths, _ root: SharedFD, _ mounts: [RuntimeSpec.Mount])
        async throws
    {
        let context = context
        try await blocking {
            try NetworkFiles(record: record, paths: paths).write()
            let identity = try root.withOwned { try UserLookup(root: $0).identity(record.config.User ?? "") }
            let spec = try ContainerSpec(
                record: record, paths: paths, host: context.host, identity: identity, joined: [:],
                runtime: context.paths.runtime, stepMounts: mounts
            ).make()
            try writeAtomically(spec.json().serialized(), to: paths.runtime.appending("config.json"), sync: false)
        }
    }

    /// Passes the output on until the command has ended. A cancelled build ends the command and waits for that.
    private func follow(
        _ control: SupervisorConnection, _ paths: ContainerPaths, _ output: @Sendable (BuildOutput) async -> Void
    ) async throws -> Int32 {
        let attached = try await Container.openAttach(directory: paths.runtime, flags: 3, group: context.eventLoops)
        defer { attached.close() }
        try await control.send(.start)
        return try await withTaskCancellationHandler {
            while let frame = try await attached.next() {
                switch frame.kind {
                case .stdout, .stderr:
                    await output(
                        BuildOutput(
                            stream: frame.kind == .stderr ? .stderr : .stdout, bytes: Array(frame.payload.readableBytesView)))
                default: continue
                }
            }
            let code = try await exitCode(control)
            try Task.checkCancellation()
            return code
        } onCancel: {
            Task { await Self.kill(control) }
        }
    }

    private static func kill(_ control: SupervisorConnection) async {
        // When this fails the supervisor is gone, and the command with it.
        try? await control.send(.signal, ByteBuffer(integer: UInt32(Signal.kill.rawValue)))
    }

    /// Joins the command with a client at its terminal. It ends when the client goes, whichever way.
    private func converse(_ control: SupervisorConnection, _ paths: ContainerPaths, _ visitor: BuildShell.Visitor, _ shell: BuildShell)
        async throws -> Int32
    {
        var options = AttachOptions()
        (options.stdin, options.stdout, options.stderr) = (true, true, true)
        let attached = try await Container.openAttach(directory: paths.runtime, flags: options.flags, group: context.eventLoops)
        defer { attached.close() }
        try await control.send(.start)
        shell.runs(under: control)
        let session = AttachSession(
            client: visitor.stream, supervisor: attached, terminal: true, stdin: true, closesStdin: false, detachKeys: try DetachKeys(nil))
        return try await withTaskCancellationHandler {
            do {
                if case .detached = try await session.run() { await Self.kill(control) }
            } catch {
                await Self.kill(control)
                context.logger.debug("the client of a build's shell is gone", metadata: ["error": "\(error)"])
            }
            let code = try await exitCode(control)
            try Task.checkCancellation()
            return code
        } onCancel: {
            Task { await Self.kill(control) }
        }
    }

    private func exitCode(_ control: SupervisorConnection) async throws -> Int32 {
        while let frame = try await control.next() {
            switch frame.kind {
            case .failed: throw StartFailure(frame)
            case .exited:
                return try JSONDecoder().decode(ExitRecord.self, from: Data(frame.payload.readableBytesView)).exitCode
            default: continue
            }
        }
        throw EngineError(.internalError, "the supervisor of a build step was killed")
    }

    private func record(_ step: RunStep) async throws -> ContainerRecord {
        var config = ContainerConfig()
        config.Hostname = step.hostname
        config.User = step.user
        config.Env = step.env
        config.WorkingDir = step.workingDir
        config.OpenStdin = false
        config.Tty = false
        var hostConfig = HostConfig()
        hostConfig.NetworkMode = step.networkMode
        hostConfig.Memory = step.limits.memoryBytes
        hostConfig.MemorySwap = step.limits.memorySwapBytes
        hostConfig.CpuShares = step.limits.cpuShares
        hostConfig.CpuPeriod = step.limits.cpuPeriod
        hostConfig.CpuQuota = step.limits.cpuQuota
        hostConfig.CpusetCpus = step.limits.cpusetCPUs
        hostConfig.CpusetMems = step.limits.cpusetMems
        hostConfig.ShmSize = step.limits.shmSizeBytes
        hostConfig.CgroupParent = step.limits.cgroupParent
        hostConfig.ExtraHosts = step.limits.extraHosts
        hostConfig.Ulimits = step.limits.ulimits.map(Ulimit.init)
        hostConfig = try HostConfigCheck(host: context.host).normalized(hostConfig)
        let attachments = try await NetworkResolution(networks: context.networks, registry: registry).resolve(hostConfig, nil)
        guard let path = step.args.first else { throw EngineError(.invalidArgument, "no command specified") }
        return ContainerRecord(
            id: step.id, name: "", created: "", imageID: "", layers: [], config: config, hostConfig: hostConfig, mounts: [],
            path: path, args: Array(step.args.dropFirst()), networkAttachments: attachments)
    }
}

extension Ulimit {
    fileprivate init(_ limit: BuildLimits.Ulimit) {
        self.init()
        Name = limit.name
        Soft = limit.soft
        Hard = limit.hard
    }
}
