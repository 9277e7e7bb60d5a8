extension ImageConfig {
    /// What a container of the image gets unless its creator says otherwise.
    public struct Config: Sendable, Hashable {
        public var user: String?
        /// `80/tcp`, `53/udp`; on the wire the keys of an object.
        public var exposedPorts: Set<String>?
        public var env: [String]?
        public var entrypoint: [String]?
        public var cmd: [String]?
        /// Paths in the container; on the wire the keys of an object.
        public var volumes: Set<String>?
        public var workingDir: String?
        public var labels: [String: String]?
        public var stopSignal: String?
        public var healthcheck: Healthcheck?
        public var onBuild: [String]?
        public var shell: [String]?
        public var argsEscaped: Bool?

        public init(
            user: String? = nil, exposedPorts: Set<String>? = nil, env: [String]? = nil, entrypoint: [String]? = nil,
            cmd: [String]? = nil, volumes: Set<String>? = nil, workingDir: String? = nil,
            labels: [String: String]? = nil, stopSignal: String? = nil, healthcheck: Healthcheck? = nil,
            onBuild: [String]? = nil, shell: [String]? = nil, argsEscaped: Bool? = nil
        ) {
            self.user = user
            self.exposedPorts = exposedPorts
            self.env = env
            self.entrypoint = entrypoint
            self.cmd = cmd
            self.volumes = volumes
            self.workingDir = workingDir
            self.labels = labels
            self.stopSignal = stopSignal
            self.healthcheck = healthcheck
            self.onBuild = onBuild
            self.shell = shell
            self.argsEscaped = argsEscaped
        }
    }

    /// How to find out whether a container works. Times are nanoseconds; absent or 0 means Docker's default.
    public struct Healthcheck: Sendable, Hashable, Codable {
        /// Empty: as the base image says; `NONE`; `CMD` and arguments; `CMD-SHELL` and a command.
        public var test: [String]?
        public var interval: Int64?
        public var timeout: Int64?
        public var startPeriod: Int64?
        public var startInterval: Int64?
        public var retries: Int?

        public init(
            test: [String]? = nil, interval: Int64? = nil, timeout: Int64? = nil, startPeriod: Int64? = nil,
            startInterval: Int64? = nil, retries: Int? = nil
        ) {
            self.test = test
            self.interval = interval
            self.timeout = timeout
            self.startPeriod = startPeriod
            self.startInterval = startInterval
            self.retries = retries
        }

        enum CodingKeys: String, CodingKey {
            case test = "Test"
            case interval = "Interval"
            case timeout = "Timeout"
            case startPeriod = "StartPeriod"
            case startInterval = "StartInterval"
            case retries = "Retries"
        }
    }
}

extension ImageConfig.Config: Codable {
    enum CodingKeys: String, CodingKey {
        case user = "User"
        case exposedPorts = "ExposedPorts"
        case env = "Env"
        case entrypoint = "Entrypoint"
        case cmd = "Cmd"
        case volumes = "Volumes"
        case workingDir = "WorkingDir"
        case labels = "Labels"
        case stopSignal = "StopSignal"
        case healthcheck = "Healthcheck"
        case onBuild = "OnBuild"
        case shell = "Shell"
        case argsEscaped = "ArgsEscaped"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        user = try container.decodeIfPresent(String.self, forKey: .user)
        exposedPorts = try container.decodeIfPresent(ObjectKeys.self, forKey: .exposedPorts)?.keys
        env = try container.decodeIfPresent([String].self, forKey: .env)
        entrypoint = try container.decodeIfPresent([String].self, forKey: .entrypoint)
        cmd = try container.decodeIfPresent([String].self, forKey: .cmd)
        volumes = try container.decodeIfPresent(ObjectKeys.self, forKey: .volumes)?.keys
        workingDir = try container.decodeIfPresent(String.self, forKey: .workingDir)
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels)
        stopSignal = try container.decodeIfPresent(String.self, forKey: .stopSignal)
        healthcheck = try container.decodeIfPresent(ImageConfig.Healthcheck.self, forKey: .healthcheck)
        onBuild = try container.decodeIfPresent([String].self, forKey: .onBuild)
        shell = try container.decodeIfPresent([String].self, forKey: .shell)
        argsEscaped = try container.decodeIfPresent(Bool.self, forKey: .argsEscaped)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(user, forKey: .user)
        try container.encodeIfPresent(exposedPorts.map(ObjectKeys.init), forKey: .exposedPorts)
        try container.encodeIfPresent(env, forKey: .env)
        try container.encodeIfPresent(entrypoint, forKey: .entrypoint)
        try container.encodeIfPresent(cmd, forKey: .cmd)
        try container.encodeIfPresent(volumes.map(ObjectKeys.init), forKey: .volumes)
        try container.encodeIfPresent(workingDir, forKey: .workingDir)
        try container.encodeIfPresent(labels, forKey: .labels)
        try container.encodeIfPresent(stopSignal, forKey: .stopSignal)
        try container.encodeIfPresent(healthcheck, forKey: .healthcheck)
        try container.encodeIfPresent(onBuild, forKey: .onBuild)
        try container.encodeIfPresent(shell, forKey: .shell)
        try container.encodeIfPresent(argsEscaped, forKey: .argsEscaped)
    }
}

/// A set that is written as an object with empty objects as values (Go's `map[string]struct{}`).
private struct ObjectKeys: Codable {
    var keys: Set<String>

    init(_ keys: Set<String>) { self.keys = keys }

    init(from decoder: any Decoder) throws {
        keys = Set(try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue))
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: AnyKey.self)
        for key in keys.sorted() { try container.encode([String: String](), forKey: AnyKey(stringValue: key)) }
    }
}
