// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// What a container runs, independent of the host: the `Config` of a container.
public struct ContainerConfig: Codable, Sendable, Equatable {
    public var Hostname: String?
    public var Domainname: String?
    public var User: String?
    public var AttachStdin: Bool?
    public var AttachStdout: Bool?
    public var AttachStderr: Bool?
    public var ExposedPorts: [String: EmptyObject]?
    public var Tty: Bool?
    public var OpenStdin: Bool?
    public var StdinOnce: Bool?
    public var Env: [String]?
    public var Cmd: StrSlice?
    public var Healthcheck: HealthConfig?
    public var ArgsEscaped: Bool?
    public var Image: String?
    public var Volumes: [String: EmptyObject]?
    public var WorkingDir: String?
    public var Entrypoint: StrSlice?
    public var NetworkDisabled: Bool?
    public var MacAddress: String?
    public var OnBuild: [String]?
    public var Labels: [String: String]?
    public var StopSignal: String?
    public var StopTimeout: Int?
    public var Shell: StrSlice?

    public init() {}
}

/// How the health of a container is probed. Durations are nanoseconds.
public struct HealthConfig: Codable, Sendable, Equatable {
    public var Test: [String]?
    public var Interval: Int64?
    public var Timeout: Int64?
    public var Retries: Int?
    public var StartPeriod: Int64?
    public var StartInterval: Int64?

    public init() {}
}

/// The health of a running container.
public struct Health: Codable, Sendable, Equatable {
    public var Status: String?
    public var FailingStreak: Int?
    public var Log: [HealthcheckResult]?

    public init() {}
}

/// One probe that has ended.
public struct HealthcheckResult: Codable, Sendable, Equatable {
    public var Start: String?
    public var End: String?
    public var ExitCode: Int?
    public var Output: String?

    public init() {}
}
