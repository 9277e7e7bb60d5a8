// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// The body of `POST /containers/create`: a `ContainerConfig`, flat, and two objects beside it.
public struct ContainerCreateRequest: Codable, Sendable, Equatable {
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
    public var HostConfig: HostConfig?
    public var NetworkingConfig: NetworkingConfig?

    public init() {}
}

/// The networks of a new container, by name.
public struct NetworkingConfig: Codable, Sendable, Equatable {
    public var EndpointsConfig: [String: EndpointSettings]?

    public init() {}
}

/// The answer to `POST /containers/create`.
public struct ContainerCreateResponse: Codable, Sendable, Equatable {
    public var Id: String?
    public var Warnings: [String]?

    public init() {}
}
