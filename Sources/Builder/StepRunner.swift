public import OCI
public import SystemPackage

/// Runs the commands of `RUN`. The engine implements it with a container that nobody sees.
public protocol StepRunner: Sendable {
    /// Runs a step to its end and answers its exit code. When it returns or throws, no process and no mount of the
    /// step is left, and `upper` holds what the command changed; empty mount points that were missing may be there as
    /// well, the builder takes them out. A cancelled task ends the command.
    func run(_ step: RunStep, output: @escaping @Sendable (BuildOutput) async -> Void) async throws -> Int32
}

/// One command of a build.
public struct RunStep: Sendable {
    /// 64 hexadecimal digits, new for each step.
    public var id: String
    /// Diff ids of the root's layers, base first.
    public var layers: [Digest]
    /// Empty directories on the data-root's filesystem for the overlay; the builder makes and removes them.
    public var upper: FilePath
    public var work: FilePath
    public var args: [String]
    public var env: [String]
    public var workingDir: String
    /// As in the Dockerfile (`name`, `uid`, `user:group`); empty: root.
    public var user: String
    public var networkMode: String
    public var limits: BuildLimits
    /// What the command sees besides its root.
    public var mounts: [StepMount] = []
    /// The name that the container has for itself; always the same, so that nothing in an image depends on it.
    public var hostname = "buildkitsandbox"

    public init(
        id: String, layers: [Digest], upper: FilePath, work: FilePath, args: [String], env: [String],
        workingDir: String, user: String, networkMode: String, limits: BuildLimits
    ) {
        self.id = id
        self.layers = layers
        self.upper = upper
        self.work = work
        self.args = args
        self.env = env
        self.workingDir = workingDir
        self.user = user
        self.networkMode = networkMode
        self.limits = limits
    }
}

/// A piece of what a command printed.
public struct BuildOutput: Sendable, Equatable {
    public enum Stream: Sendable {
        case stdout
        case stderr
    }

    public var stream: Stream
    public var bytes: [UInt8]

    public init(stream: Stream, bytes: [UInt8]) {
        self.stream = stream
        self.bytes = bytes
    }
}
