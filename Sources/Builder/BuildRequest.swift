import BuildContext
public import Images
public import Linux
public import OCI
public import SystemPackage

/// What one `build` call asks for.
public struct BuildRequest: Sendable {
    /// Where the Dockerfile comes from.
    public enum Source: Sendable, Equatable {
        /// A path inside the context; a link is followed inside the context only.
        case inContext(String)
        /// The file itself, sent apart from the context.
        case bytes([UInt8])
    }

    /// Where the files of the build are.
    public enum Context: Sendable {
        /// The unpacked context. It belongs to this build alone: nobody writes to it meanwhile.
        case directory(FilePath)
        /// The user's own directory: it is only read, and what is copied is looked at twice.
        case borrowed(SharedFD)
    }

    /// Something that a name stands for in `FROM`, `COPY --from` and `RUN --mount`, before stages and images do.
    public enum NamedContext: Sendable, Equatable {
        /// It belongs to this build alone, as the context itself.
        case directory(FilePath)
        case image(String)
    }

    /// Prepares a shell, and gives it as a step to what runs it. Nothing of it is left afterwards.
    public typealias Visit = @Sendable (_ run: @escaping @Sendable (RunStep) async throws -> Void) async throws -> Void

    public var dockerfile: Source
    /// By names in lower case.
    public var namedContexts: [String: NamedContext] = [:]
    public var context: Context
    public var tags: [Reference]
    /// Values for `ARG`; a name without a value is declared by the client but set nowhere.
    public var buildArgs: [String: String?]
    public var labels: [String: String]
    /// The stage to build, by name or number; nil: the last one.
    public var target: String?
    public var noCache: Bool
    /// Stages of which every step is done again, by name or number.
    public var noCacheStages: Set<String>
    /// Tells of each step that is done why there was no earlier result for it.
    public var explainsCache = false
    /// Makes one layer of all that is added to the base image.
    public var squashes = false
    /// What `RUN --mount=type=secret` may ask for, by id. Never part of an image, a cache key or a log.
    public var secrets: [String: [UInt8]] = [:]
    /// Sockets of the client's SSH agents for `RUN --mount=type=ssh`, by id.
    public var agents: [String: FilePath] = [:]
    /// How `RUN` reaches the network, in Docker's words ("default", "none", "host", …).
    public var networkMode: String
    public var limits: BuildLimits
    /// Gives the image that `FROM` or `COPY --from` names; nil: the one in the store.
    public var findImage: (@Sendable (String) async throws -> Image)?
    /// Lets the user look around in the state before a step that has failed, and returns when the user has gone. `visit` is called
    /// when somebody has come. nil: nobody asked for it.
    public var openShell: (@Sendable (_ failure: any Error, _ visit: Visit) async throws -> Void)?
    /// Results of builds elsewhere that may be taken, the first one first.
    public var imports: [ImportedCache] = []
    /// Gets the steps of the build when its image is there, while their layers are kept.
    public var exportSteps: (@Sendable (BuildSteps) async throws -> Void)?
    /// Puts the steps of the result into the image's configuration.
    public var inlinesSteps = false
    /// Notes what the build takes from elsewhere, or says what it has to be.
    public var lock: InputLock?
    /// Annotations that go with the image under its names.
    public var attachments = ImageAttachments()
    /// Statements about the build and its result, which go with the image as well. For provenance a lock has to be there.
    package var attestations: [BuildAttestation] = []
    /// Where the context was fetched from; nil: from the client.
    public var contextAddress: String?
    /// The same of named contexts, by their names in lower case.
    public var contextAddresses: [String: String] = [:]
    /// Leaves out everything but the final id, as `docker build -q`.
    public var quiet: Bool

    public init(
        dockerfile: Source = .inContext("Dockerfile"), context: Context, tags: [Reference] = [],
        buildArgs: [String: String?] = [:], labels: [String: String] = [:], target: String? = nil,
        noCache: Bool = false, noCacheStages: Set<String> = [], networkMode: String = "default", limits: BuildLimits = BuildLimits(),
        quiet: Bool = false, findImage: (@Sendable (String) async throws -> Image)? = nil
    ) {
        self.findImage = findImage
        self.dockerfile = dockerfile
        self.context = context
        self.tags = tags
        self.buildArgs = buildArgs
        self.labels = labels
        self.target = target
        self.noCache = noCache
        self.noCacheStages = noCacheStages
        self.networkMode = networkMode
        self.limits = limits
        self.quiet = quiet
    }
}

/// Bounds and surroundings of every `RUN` of a build; zero or empty means the engine's default.
public struct BuildLimits: Sendable, Equatable {
    public var memoryBytes: Int64 = 0
    public var memorySwapBytes: Int64 = 0
    public var cpuShares: Int64 = 0
    public var cpuPeriod: Int64 = 0
    public var cpuQuota: Int64 = 0
    public var cpusetCPUs = ""
    public var cpusetMems = ""
    public var shmSizeBytes: Int64 = 0
    public var cgroupParent = ""
    public var ulimits: [Ulimit] = []
    /// "host:address" as on the command line.
    public var extraHosts: [String] = []

    public init() {}

    /// A resource limit as `setrlimit` knows it, by its name without `RLIMIT_`, in small letters.
    public struct Ulimit: Sendable, Equatable {
        public let name: String
        /// In the resource's own unit; -1 for none.
        public let soft: Int64
        public let hard: Int64

        public init(name: String, soft: Int64, hard: Int64) {
            self.name = name
            self.soft = soft
            self.hard = hard
        }
    }
}

/// Something a build tells its client while it goes on.
public enum BuildProgress: Sendable, Equatable {
    /// Text of Docker's classic build output, with its line end.
    case stream(String)
    /// The finished image; sent once, before `Successfully built`.
    case image(Digest, isNew: Bool)
}
