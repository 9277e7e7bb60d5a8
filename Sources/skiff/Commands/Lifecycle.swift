import DockerAPI
import EngineClient

extension Command {
    private static let signal = Flag<String>.text("signal", short: "s", "Signal to send in place of the stop signal")
    private static let timeout = Flag<Int64?>.integer("timeout", short: "t", "Seconds to wait before killing; -1 is for ever")
    private static let time = RenamedFlag(name: "time", of: timeout)

    static func stop() -> Command { stopping("stop", "Stop running containers") }
    static func restart() -> Command { stopping("restart", "Stop containers and start them again") }

    private static func stopping(_ verb: String, _ summary: String) -> Command {
        Command(
            name: verb, usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: summary, arguments: .atLeast(1),
            flags: [signal, timeout, time]
        ) { call in
            var query: [(String, String)] = []
            if !call[signal].isEmpty { query.append(("signal", call[signal])) }
            if let seconds = call[timeout] { query.append(("t", "\(seconds)")) }
            return try await call.post(verb, query)
        }
    }

    static func pause() -> Command { plain("pause", "Freeze all processes of containers") }
    static func unpause() -> Command { plain("unpause", "Let frozen containers go on") }

    private static func plain(_ verb: String, _ summary: String) -> Command {
        Command(name: verb, usage: "CONTAINER [CONTAINER...]", summary: summary, arguments: .atLeast(1)) { call in
            try await call.post(verb, [])
        }
    }

    static func kill() -> Command {
        let signal = Flag<String>.text("signal", short: "s", "Signal to send (KILL if none is given)")
        return Command(
            name: "kill", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Send a signal to running containers",
            arguments: .atLeast(1), flags: [signal]
        ) { call in
            try await call.post("kill", call[signal].isEmpty ? [] : [("signal", call[signal])])
        }
    }

    static func wait() -> Command {
        let condition = Flag<String>.text("condition", "What to wait for: not-running, next-exit or removed") {
            guard ["not-running", "next-exit", "removed"].contains($0) else { throw FlagValueError("invalid condition: \"\($0)\"") }
        }
        return Command(
            name: "wait", usage: "[OPTIONS] CONTAINER [CONTAINER...]",
            summary: "Wait until containers stop and print their exit codes", arguments: .atLeast(1), flags: [condition]
        ) { call in
            try await call.program.forEach(call.arguments) { name in
                let code = try await ContainerWait(engine: call.program.engine, id: name).exitCode(condition: call[condition])
                try call.program.print("\(code)")
            }
        }
    }

    static func rename() -> Command {
        Command(
            name: "rename", usage: "CONTAINER NEW_NAME", summary: "Give a container another name", arguments: .exactly(2)
        ) { call in
            try await call.program.engine.send(
                EngineRequest(
                    .post, "/containers/\(EngineRequest.escaped(call.arguments[0]))/rename",
                    query: [("name", call.arguments[1])]))
            return 0
        }
    }

    static func remove() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Kill a running container first")
        let link = Flag<Bool>.toggle("link", short: "l", "Remove a link")
        let volumes = Flag<Bool>.toggle("volumes", short: "v", "Remove the anonymous volumes of the container as well")
        return Command(
            name: "rm", usage: "[OPTIONS] CONTAINER [CONTAINER...]", summary: "Remove containers",
            arguments: .atLeast(1), flags: [force, link, volumes]
        ) { call in
            var query: [(String, String)] = []
            if call[volumes] { query.append(("v", "1")) }
            if call[link] { query.append(("link", "1")) }
            if call[force] { query.append(("force", "1")) }
            return try await call.program.forEach(call.arguments) { name in
                let path = "/containers/\(EngineRequest.escaped(name))"
                do {
                    try await call.program.engine.send(EngineRequest(.delete, path, query: query))
                } catch let error as EngineClientError where error.status == 404 && call[force] {
                    try call.program.warn("\(error)")  // What is not there needs no removing.
                    return
                }
                try call.program.print(name)
            }
        }
    }

    static func update() -> Command {
        let restart = Flag<String>.text("restart", "When to start it again")
        let unpublish = Flag<[String]>.list("publish-rm", "Take a published port back: [[IP:]HOST:]CONTAINER[/PROTO]")
        let label = Flag<[String]>.list("label", short: "l", "Set a label") {
            guard !$0.hasPrefix("=") else { throw FlagValueError("invalid label '\($0)': empty name") }
        }
        let labelRemoval = Flag<[String]>.list("label-rm", "Take a label away")
        let env = Flag<[String]>.list("env", short: "e", "Set an environment variable for what is started from now on") {
            guard !$0.hasPrefix("=") else { throw FlagValueError("invalid environment variable: \($0)") }
        }
        let envRemoval = Flag<[String]>.list("env-rm", "Take an environment variable away")
        let unmount = Flag<[String]>.list("mount-rm", as: "target", "Take a mount away")
        let lazily = Flag<Bool>.toggle("mount-rm-lazy", "Take mounts away also when they are in use")
        return Command(
            name: "update", usage: "[OPTIONS] CONTAINER [CONTAINER...]",
            summary: "Change limits, published ports, mounts, labels and environment of containers", arguments: .atLeast(1),
            flags: HostFlags.limits + [
                restart, ContainerFlags.publish, unpublish, ContainerFlags.mount, unmount, lazily, label, labelRemoval, env, envRemoval,
            ]
        ) { call in
            var request = ContainerUpdateRequest()
            request.Memory = call[HostFlags.memory]
            request.MemorySwap = call[HostFlags.memorySwap]
            request.MemoryReservation = call[HostFlags.memoryReservation]
            request.NanoCpus = call[HostFlags.processors]
            request.CpuShares = call[HostFlags.cpuShares]
            request.CpuPeriod = call[HostFlags.cpuPeriod]
            request.CpuQuota = call[HostFlags.cpuQuota]
            request.CpusetCpus = call[HostFlags.cpusetCpus]
            request.CpusetMems = call[HostFlags.cpusetMems]
            request.BlkioWeight = call[HostFlags.blkioWeight].map { Int($0) }
            request.CpuRealtimePeriod = call[HostFlags.realtimePeriod]
            request.CpuRealtimeRuntime = call[HostFlags.realtimeRuntime]
            request.PidsLimit = call[HostFlags.pidsLimit]
            if !call[restart].isEmpty { request.RestartPolicy = try HostRequest.restartPolicy(call[restart]) }
            let (added, removed) = (call[ContainerFlags.publish], call[unpublish])
            if !added.isEmpty { request.PortBindings = try PortFlags(publish: added, expose: []).bindings }
            if !removed.isEmpty { request.PortBindingsRemoved = try PortFlags(publish: removed, expose: []).bindings }
            request.NetworkInBps = call[HostFlags.netIn]
            request.NetworkOutBps = call[HostFlags.netOut]
            if !call[label].isEmpty { request.Labels = EnvironmentList.labels(call[label]) }
            if !call[labelRemoval].isEmpty { request.LabelsRemoved = call[labelRemoval] }
            let variables = EnvironmentList.resolve(call[env], environment: call.program.environment)
            if !variables.isEmpty { request.Env = variables }
            if !call[envRemoval].isEmpty { request.EnvRemoved = call[envRemoval] }
            if !call[ContainerFlags.mount].isEmpty {
                request.Mounts = try call[ContainerFlags.mount].map { try MountFlag.parse($0, workingDirectory: call.program.workingDirectory) }
            }
            if !call[unmount].isEmpty { request.MountsRemoved = call[unmount] }
            if call[lazily] { request.MountsRemovedLazily = true }
            let body = try EngineClient.json(request)
            return try await call.program.forEach(call.arguments) { name in
                let answer = try await call.program.engine.get(
                    ContainerUpdateResponse.self,
                    EngineRequest(.post, "/containers/\(EngineRequest.escaped(name))/update", body: body))
                try call.program.print(name)
                for warning in answer.Warnings ?? [] { try call.program.warn(warning) }
            }
        }
    }
}

extension Invocation {
    /// Posts the same verb to every container that is named and prints the names.
    fileprivate func post(_ verb: String, _ query: [(String, String)]) async throws -> Int32 {
        try await program.forEach(arguments) { name in
            try await program.engine.send(
                EngineRequest(.post, "/containers/\(EngineRequest.escaped(name))/\(verb)", query: query))
            try program.print(name)
        }
    }
}
