public import SystemPackage

/// What the operator of the machine has said about registries.
public struct RegistryConfiguration: Sendable {
    /// A place to ask before the registry itself.
    public struct Mirror: Sendable, Equatable {
        public var address: WebAddress
        /// What the mirror gets to see; the registry's own credentials never go to a mirror.
        public var credentials: RegistryCredentials

        public init(address: WebAddress, credentials: RegistryCredentials = .anonymous) {
            self.address = address
            self.credentials = credentials
        }
    }

    /// By the domain of the images, `docker.io` for instance, in the order in which they are asked.
    public var mirrors: [String: [Mirror]] = [:]
    /// Hosts, `host:port`s and blocks of addresses whose certificates are not looked at, and which may speak plain http.
    public var insecure: [String] = []
    /// By the domain of the images: other hosts whose token servers may see the credentials.
    public var authenticationHosts: [String: [String]] = [:]
    /// Directories with a directory for each `host:port`, as Docker has them. The first that has one counts.
    public var certificateDirectories: [FilePath] = ["/etc/skiff/certs.d", "/etc/docker/certs.d"]
    /// How many layers of one pull, and how many of one push, are under way at a time.
    public var concurrentDownloads = 3
    public var concurrentUploads = 5
    /// How often something is tried that gets nowhere.
    public var attempts = 5
    /// A connection that brings nothing for so long is given up and replaced.
    public var stallTimeout: Duration = .seconds(20)
    /// How long the first wait before another try is; each further one is twice as long, up to the longest.
    public var firstDelay: Duration = .milliseconds(500)
    public var longestDelay: Duration = .seconds(30)
    public var proxies = ProxySettings(environment: [:])

    public init() {}

    /// Whether the host may go without a certificate that can be trusted.
    func isInsecure(_ origin: Origin) -> Bool {
        if origin.isLoopback { return true }
        return insecure.contains { entry in
            let entry = entry.lowercased()
            if let block = AddressBlock(entry), block.contains(origin.host) { return true }
            return entry == origin.host || entry == origin.hostAndPort || entry == origin.authority
        }
    }
}
