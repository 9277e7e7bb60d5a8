/// What a client asks of a build, besides its context.
public struct BuildParameters: Sendable {
    public var dockerfile = "Dockerfile"
    public var tags: [String] = []
    public var buildArguments: [String: String?] = [:]
    public var labels: [String: String] = [:]
    public var target: String?
    public var noCache = false
    public var quiet = false
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

    public init() {}
}
