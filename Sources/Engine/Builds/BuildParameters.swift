public import DockerAPI

/// What a client asks of a build, besides its context.
public struct BuildParameters: Sendable {
    public var dockerfile = "Dockerfile"
    public var tags: [String] = []
    /// Sockets of SSH agents on this machine, by id.
    public var agents: [String: String] = [:]
    /// Where the engine gets the context; empty: it comes with the request.
    public var remote = ""
    /// A directory on this machine that is the context, and its `FolderIdentity`; empty: the context comes with the
    /// request.
    public var contextFolder = ""
    public var contextIdentity = ""
    /// By name: `deposit:ID`, `docker-image://REFERENCE`, or an address of the web or of Git.
    public var namedContexts: [String: String] = [:]
    public var buildArguments: [String: String?] = [:]
    public var labels: [String: String] = [:]
    public var target: String?
    /// What `depositSecrets` has answered.
    public var secretsID: String?
    public var noCache = false
    /// As `--cache-from`: names of images, or `type=…`; a folder has been handed in and is `deposit:ID`.
    public var cacheSources: [String] = []
    /// As `--cache-to`. What is for a folder is told with its id in the answer.
    public var cacheTargets: [String] = []
    /// Stages of which every step is done again.
    public var noCacheStages: [String] = []
    /// "build", or what to tell of the Dockerfile instead: "check", "outline", "targets".
    public var call = "build"
    public var quiet = false
    /// Tells what the build has taken from elsewhere.
    public var locks = false
    /// What `depositLock` has answered.
    public var lockID: String?
    /// As `--annotation`.
    public var annotations: [String] = []
    /// As `--attest`.
    public var attestations: [String] = []
    /// Makes one layer of all that is added to the base image.
    public var squashes = false
    /// Tells why a step had to be done.
    public var explainsCache = false
    /// Waits for the client with a shell where a step has failed.
    public var opensShell = false
    /// Asks the registries for base images that are here, too.
    public var pulls = false
    /// What is shown to registries.
    public var auth: RegistryAuth?
    /// `linux/amd64`; empty: the machine's own.
    public var platform = ""
    /// Empty: the default network.
    public var networkMode = ""
    public var memoryBytes: Int64 = 0
    public var memorySwapBytes: Int64 = 0
    public var cpuShares: Int64 = 0
    public var cpuPeriod: Int64 = 0
    public var cpuQuota: Int64 = 0
    public var cpusetCPUs = ""
    public var cpusetMems = ""
    public var shmSizeBytes: Int64 = 0
    public var cgroupParent = ""
    public var extraHosts: [String] = []
    public var ulimits: [Ulimit] = []

    public init() {}
}
