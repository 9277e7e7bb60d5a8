import Linux
import SystemPackage

/// The name servers of the host, read again when its files have changed. Used by one thread.
struct Upstreams {
    private let resolver: HostResolver
    private var servers: [String] = []
    private var stamp: [String] = []
    private var lookedAt: Int64 = -10_000

    init(_ resolver: HostResolver) {
        self.resolver = resolver
    }

    /// True when they are others than before. Looks at the files once a second at most.
    mutating func refresh(now: Int64) -> Bool {
        guard now - lookedAt >= 1000 else { return false }
        lookedAt = now
        let current = resolver.stamp()
        guard current != stamp else { return false }
        stamp = current
        servers = resolver.servers()
        return true
    }

    /// At most three, as the C library has it.
    var addresses: [String] { Array(servers.prefix(3)) }
}
