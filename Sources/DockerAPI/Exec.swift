// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The properties are the fields of Docker's Engine API, spelled as they are on the wire.

/// The body of `POST /containers/{id}/exec`.
public struct ExecConfig: Codable, Sendable, Equatable {
    public var AttachStdin: Bool?
    public var AttachStdout: Bool?
    public var AttachStderr: Bool?
    public var ConsoleSize: [Int]?
    public var DetachKeys: String?
    public var Tty: Bool?
    public var Env: [String]?
    public var Cmd: StrSlice?
    public var Privileged: Bool?
    public var User: String?
    public var WorkingDir: String?

    public init() {}
}

/// The body of `POST /exec/{id}/start`.
public struct ExecStartConfig: Codable, Sendable, Equatable {
    public var Detach: Bool?
    public var Tty: Bool?
    public var ConsoleSize: [Int]?

    public init() {}
}

/// Everything about one exec session.
public struct ExecInspectResponse: Codable, Sendable, Equatable {
    public var CanRemove: Bool?
    public var DetachKeys: String?
    public var ID: String?
    public var Running: Bool?
    public var ExitCode: Int?
    public var ProcessConfig: ProcessConfig?
    public var OpenStdin: Bool?
    public var OpenStderr: Bool?
    public var OpenStdout: Bool?
    public var ContainerID: String?
    public var Pid: Int?

    public init() {}
}

/// The process of an exec session.
public struct ProcessConfig: Codable, Sendable, Equatable {
    public var privileged: Bool?
    public var user: String?
    public var tty: Bool?
    public var entrypoint: String?
    public var arguments: [String]?

    public init() {}
}

/// The answer to a request that made something.
public struct IDResponse: Codable, Sendable, Equatable {
    public var Id: String?

    public init() {}
}
