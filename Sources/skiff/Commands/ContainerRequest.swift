import DockerAPI
import EngineClient
import FoundationEssentials
import Linux

/// Turns the flags of `run` and `create` into the request that makes the container.
struct ContainerRequest {
    let call: Invocation
    let attaches: Bool
    private let workingDirectory: String

    /// `attaches` is false for a container that runs in the background.
    init(_ call: Invocation, attaches: Bool) {
        self.call = call
        self.attaches = attaches
        workingDirectory = call.program.workingDirectory
    }

    func make() throws -> ContainerCreateRequest {
        var request = ContainerCreateRequest()
        var host = try HostRequest(call: call, workingDirectory: workingDirectory).make()
        let ports = try PortFlags(publish: call[ContainerFlags.publish], expose: call[ContainerFlags.expose])
        request.Image = call.arguments[0]
        if call.arguments.count > 1 { request.Cmd = StrSlice(Array(call.arguments.dropFirst())) }
        if let entrypoint = call[ContainerFlags.entrypoint] { request.Entrypoint = [entrypoint] }
        setStreams(&request)
        try setSurroundings(&request)
        if !ports.exposed.isEmpty { request.ExposedPorts = ports.exposed }
        if !ports.bindings.isEmpty { host.PortBindings = ports.bindings }
        try setVolumes(&request, &host)
        request.Healthcheck = try healthcheck()
        request.HostConfig = host
        request.NetworkingConfig = try NetworkFlags(call).networking()
        return request
    }

    private func setStreams(_ request: inout ContainerCreateRequest) {
        let named = call[ContainerFlags.attach].map { $0.lowercased() }
        let interactive = call[ContainerFlags.interactive]
        request.AttachStdin = attaches && (named.isEmpty ? interactive : named.contains("stdin"))
        request.AttachStdout = attaches && (named.isEmpty || named.contains("stdout"))
        request.AttachStderr = attaches && (named.isEmpty || named.contains("stderr"))
        request.Tty = call[ContainerFlags.tty]
        request.OpenStdin = interactive
        request.StdinOnce = interactive && request.AttachStdin == true
    }

    private func setSurroundings(_ request: inout ContainerCreateRequest) throws {
        func text(_ flag: Flag<String>) -> String? { call[flag].isEmpty ? nil : call[flag] }
        request.Hostname = text(ContainerFlags.hostname)
        request.Domainname = text(ContainerFlags.domainname)
        request.User = text(ContainerFlags.user)
        request.WorkingDir = text(ContainerFlags.workdir)
        request.StopSignal = text(ContainerFlags.stopSignal)
        request.StopTimeout = call[ContainerFlags.stopTimeout].map { Int($0) }
        let files = try call[ContainerFlags.envFile].flatMap { try EnvironmentList.lines(inFile: $0) }
        var environment = EnvironmentList.resolve(
            files + call[ContainerFlags.env], environment: call.program.environment)
        for (name, value) in call.program.config.proxyVariables(host: "\(call.program.engine.address)")
        where !environment.contains(where: { $0 == name || $0.hasPrefix("\(name)=") }) {
            environment.append("\(name)=\(value)")
        }
        if !environment.isEmpty { request.Env = environment }
        let labelFiles = try call[ContainerFlags.labelFile].flatMap { try EnvironmentList.lines(inFile: $0) }
        let labels = EnvironmentList.labels(labelFiles + call[ContainerFlags.label])
        if !labels.isEmpty { request.Labels = labels }
    }

    private func setVolumes(_ request: inout ContainerCreateRequest, _ host: inout HostConfig) throws {
        for text in call[ContainerFlags.volume] {
            switch try VolumeFlag(text, workingDirectory: workingDirectory) {
            case .anonymous(let target): request.Volumes = (request.Volumes ?? [:]).merging([target: EmptyObject()]) { $1 }
            case .bind(let bind): host.Binds = (host.Binds ?? []) + [bind]
            }
        }
        var mounts = try call[ContainerFlags.mount].map { try MountFlag.parse($0, workingDirectory: workingDirectory) }
        if !call[ContainerFlags.apiSocket].isEmpty {
            var socket = Mount()
            socket.`Type` = "engine-socket"
            socket.Source = call[ContainerFlags.apiSocket]
            socket.Target = "/var/run/docker.sock"
            mounts.append(socket)
        }
        if !mounts.isEmpty { host.Mounts = mounts }
        for text in call[ContainerFlags.tmpfs] {
            let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
            guard let path = parts.first else { throw UsageError("invalid tmpfs: \(text)") }
            host.Tmpfs = (host.Tmpfs ?? [:]).merging([path: parts.count > 1 ? parts[1] : ""]) { $1 }
        }
        if !call[ContainerFlags.volumesFrom].isEmpty { host.VolumesFrom = call[ContainerFlags.volumesFrom] }
    }

    private func healthcheck() throws -> HealthConfig? {
        let off = call[ContainerFlags.noHealthcheck]
        guard ContainerFlags.health.contains(where: { call.flags.isGiven($0) }) else { return nil }
        var health = HealthConfig()
        if off {
            let others = ContainerFlags.health.filter { $0.name != "no-healthcheck" }
            guard !others.contains(where: { call.flags.isGiven($0) }) else {
                throw UsageError("--no-healthcheck conflicts with --health-* options")
            }
            health.Test = ["NONE"]
            return health
        }
        let command = call[ContainerFlags.healthCommand]
        let tests = [("CMD-SHELL", command), ("HTTP", call[ContainerFlags.healthHTTP]), ("TCP", call[ContainerFlags.healthTCP])]
            .filter { !$0.1.isEmpty }
        guard tests.count < 2 else { throw UsageError("only one of --health-cmd, --health-http and --health-tcp can be used") }
        if let (kind, text) = tests.first { health.Test = [kind, text] }
        health.Interval = call[ContainerFlags.healthInterval]
        health.Timeout = call[ContainerFlags.healthTimeout]
        health.StartPeriod = call[ContainerFlags.healthStartPeriod]
        health.StartInterval = call[ContainerFlags.healthStartInterval]
        health.Retries = call[ContainerFlags.healthRetries].map { Int($0) }
        return health
    }
}
