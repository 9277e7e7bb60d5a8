import Blocking
import DockerAPI
import Images
import Linux
import OCI

/// `docker create`: everything that can be checked is checked here, then one row is written.
struct ContainerCreate {
    let context: EngineContext
    let volumes: VolumeStore
    let registry: ContainerRegistry

    struct Created {
        let container: Container
        let warnings: [String]
    }

    /// `platform` is what the client insists on, empty for whatever there is.
    func run(_ request: ContainerCreateRequest, name: String?, platform: String) async throws -> Created {
        let reference = request.Image ?? ""
        guard !reference.isEmpty else { throw EngineError(.invalidArgument, "no image specified") }
        let image = try await context.images.image(reference)
        try Self.check(platform, image)
        try PortBindings.checkNumber(request.containerConfig.ExposedPorts?.mapValues { _ in nil } ?? [:])
        let config = ImageDefaults.merge(request.containerConfig, image.config.config)
        var hostConfig = try HostConfigCheck(host: context.host).normalized(request.HostConfig ?? HostConfig())
        let warnings = try await KernelSupport().adapt(&hostConfig)
        try Self.check(config)
        try Self.checkRestart(hostConfig, config)
        let command = (config.Entrypoint?.values ?? []) + (config.Cmd?.values ?? [])
        guard let path = command.first, !(command.count == 1 && path.isEmpty) else {
            throw EngineError(.invalidArgument, "no command specified")
        }
        let id = makeID()
        let name = try await registry.claimName(name, for: id)
        do {
            let record = try await prepare(
                id: id, name: name, image: image, config: config, hostConfig: hostConfig,
                networking: request.NetworkingConfig, command: command)
            let container = Container(record: record, context: context, volumes: volumes, registry: registry)
            do {
                try await context.images.noteUse(of: image.id)
                try await container.save()
            } catch {
                await undo(id).run(context.logger)
                throw error
            }
            let notes = NotedVolumes(in: context.paths.container(id).data)
            if record.mounts.contains(where: \.anonymous) { try await blocking { try notes.forget() } }
            await registry.add(container, id: id)
            context.events.publish("container", "create", id: id, attributes: record.eventAttributes)
            return Created(container: container, warnings: warnings)
        } catch {
            await registry.releaseName(name, of: id)
            throw error
        }
    }

    private func prepare(
        id: String, name: String, image: Image, config: ContainerConfig, hostConfig: HostConfig,
        networking: NetworkingConfig?, command: [String]
    ) async throws -> ContainerRecord {
        var config = config
        if (config.Hostname ?? "").isEmpty {
            config.Hostname = hostConfig.NetworkMode == "host" ? context.host.hostname : shortID(id)
        }
        let attachments = try await NetworkResolution(networks: context.networks, registry: registry).resolve(
            hostConfig, networking, macAddress: config.MacAddress ?? "")
        let resolution = MountResolution(
            volumes: volumes, images: context.images, registry: registry, notes: NotedVolumes(in: context.paths.container(id).data))
        let paths = context.paths.container(id)
        let mounts: [ResolvedMount]
        do {
            mounts = try await resolution.resolve(config, hostConfig)
            try mounts.checkSockets(labels: config.Labels)
            try await blocking {
                for directory in [paths.data, paths.upper, paths.work] { try makeDirectories(directory) }
                // The root of the container is what `upper` is: readable for everybody inside.
                try Self.makeReadable(paths)
            }
            try await CopyUp(context: context, volumes: volumes).fill(mounts, layers: image.layers)
        } catch {
            await undo(id).run(context.logger)
            throw error
        }
        return ContainerRecord(
            id: id, name: name, created: Timestamp.now().description, imageID: image.id.description,
            layers: image.layers.map(\.description), config: config, hostConfig: hostConfig, mounts: mounts,
            path: command[0], args: Array(command.dropFirst()), networkAttachments: attachments)
    }

    /// What there is of a container that does not come to be.
    private func undo(_ id: String) -> UndoStack {
        let directory = context.paths.container(id).data
        var undo = UndoStack()
        undo.add("remove directory") { try await blocking { try removeTree(directory) } }
        undo.add("remove volumes") { [volumes] in
            for name in try await blocking({ try NotedVolumes(in: directory).names() }) where await volumes.exists(name) {
                try await volumes.remove(name)
            }
        }
        return undo
    }

    private static func check(_ platform: String, _ image: Image) throws(EngineError) {
        let parts = platform.split(separator: "/").map(String.init)
        guard !parts.isEmpty else { return }
        let has = [image.config.os, image.config.architecture]
        guard parts.prefix(2).elementsEqual(has.prefix(parts.count)) else {
            throw EngineError(
                .notFound,
                "image with reference \(image.references.first?.familiarString ?? image.id.short) was found but does not provide the specified platform (\(platform))"
            )
        }
    }

    /// Nobody would ever find the container unhealthy.
    static func checkRestart(_ hostConfig: HostConfig, _ config: ContainerConfig) throws(EngineError) {
        guard hostConfig.RestartPolicy?.Name == "on-unhealthy" else { return }
        guard try HealthCheck(config.Healthcheck, shell: config.Shell?.values) != nil else {
            throw EngineError(.invalidArgument, "invalid restart policy: 'on-unhealthy' needs a health check")
        }
    }

    private static func makeReadable(_ paths: ContainerPaths) throws {
        let upper = try OwnedFD.open(paths.upper, [.readOnly, .directory])
        try fchmod(upper, mode: 0o755)
    }

    private static func check(_ config: ContainerConfig) throws {
        let directory = config.WorkingDir ?? ""
        guard directory.isEmpty || directory.hasPrefix("/") else {
            throw EngineError(
                .invalidArgument, "the working directory '\(directory)' is invalid, it needs to be an absolute path")
        }
        for variable in config.Env ?? [] {
            guard !variable.isEmpty, !variable.hasPrefix("="), !variable.utf8.contains(0) else {
                throw EngineError(.invalidArgument, "invalid environment variable: \(variable)")
            }
        }
        _ = try HealthCheck(config.Healthcheck, shell: config.Shell?.values)
        if let signal = config.StopSignal, !signal.isEmpty, Signal(signal) == nil {
            throw EngineError(.invalidArgument, "invalid signal: \(signal)")
        }
        if let name = config.Hostname, name.utf8.count > 63 {
            throw EngineError(.invalidArgument, "invalid hostname: \(name): longer than 63 bytes")
        }
    }

}

extension ContainerCreateRequest {
    /// The part of the request that describes the container itself.
    var containerConfig: ContainerConfig {
        var config = ContainerConfig()
        config.Hostname = Hostname
        config.Domainname = Domainname
        config.User = User
        config.AttachStdin = AttachStdin ?? false
        config.AttachStdout = AttachStdout ?? false
        config.AttachStderr = AttachStderr ?? false
        config.ExposedPorts = ExposedPorts
        config.Tty = Tty ?? false
        config.OpenStdin = OpenStdin ?? false
        config.StdinOnce = StdinOnce ?? false
        config.Env = Env
        config.Cmd = Cmd
        config.Healthcheck = Healthcheck
        config.ArgsEscaped = ArgsEscaped
        config.Image = Image
        config.Volumes = Volumes
        config.WorkingDir = WorkingDir ?? ""
        config.Entrypoint = Entrypoint
        config.NetworkDisabled = NetworkDisabled
        config.MacAddress = MacAddress
        config.OnBuild = OnBuild
        config.Labels = Labels ?? [:]
        config.StopSignal = StopSignal
        config.StopTimeout = StopTimeout
        config.Shell = Shell
        return config
    }
}

/// What a request leaves open, the image decides.
enum ImageDefaults {
    static func merge(_ request: ContainerConfig, _ image: ImageConfig.Config?) -> ContainerConfig {
        guard let image else { return request }
        var config = request
        if (config.User ?? "").isEmpty { config.User = image.user ?? "" }
        if (config.WorkingDir ?? "").isEmpty { config.WorkingDir = image.workingDir ?? "" }
        if (config.StopSignal ?? "").isEmpty { config.StopSignal = image.stopSignal }
        if config.Shell == nil { config.Shell = image.shell.map { StrSlice($0) } }
        let command = config.Cmd?.values ?? []
        if (config.Entrypoint?.values ?? []).isEmpty {
            if command.isEmpty { config.Cmd = image.cmd.map { StrSlice($0) } }
            if config.Entrypoint == nil { config.Entrypoint = image.entrypoint.map { StrSlice($0) } }
        } else if config.Entrypoint?.values == [""] {
            config.Entrypoint = nil
        }
        config.Env = mergeEnvironment(request.Env ?? [], image.env ?? [])
        var labels = image.labels ?? [:]
        // Which project a container belongs to is not for an image to say, as one that Compose built does.
        labels[ProjectMembers.label] = nil
        config.Labels = labels.merging(request.Labels ?? [:]) { $1 }
        if let ports = image.exposedPorts, !ports.isEmpty {
            // One that lies in a run of the request is not a second one.
            let all = ports.union(PortRanges.unfolded((request.ExposedPorts ?? [:]).keys))
            config.ExposedPorts = PortRanges.folded(Dictionary(uniqueKeysWithValues: all.map { ($0, EmptyObject()) }))
        }
        for volume in image.volumes ?? [] { config.Volumes = (config.Volumes ?? [:]).merging([volume: EmptyObject()]) { $1 } }
        if let check = image.healthcheck.map({ HealthConfig($0) }) {
            config.Healthcheck = config.Healthcheck?.merged(over: check) ?? check
        }
        return config
    }

    /// Docker's order: what the request sets, then what only the image sets.
    private static func mergeEnvironment(_ request: [String], _ image: [String]) -> [String] {
        let names = Set(request.map(variableName))
        return request + image.filter { !names.contains(variableName($0)) }
    }

    static func variableName(_ variable: String) -> Substring { variable.prefix { $0 != "=" } }
}

extension HealthConfig {
    init(_ check: ImageConfig.Healthcheck) {
        self.init()
        Test = check.test
        Interval = check.interval
        Timeout = check.timeout
        Retries = check.retries
        StartPeriod = check.startPeriod
        StartInterval = check.startInterval
    }
}
