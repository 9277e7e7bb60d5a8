public import Linux

public import Logging

extension BridgeNetworks {
    /// What tells one engine's networks from those of another on the same host.
    public struct Configuration: Sendable {
        /// The bridge device, at most 15 characters.
        public var bridgeName: String
        /// The nftables table (family inet).
        public var nftTable: String
        /// Where subnets are taken from, in this order, each `a.b.c.d/n`; the first without a conflict wins.
        public var ipv4Pool: [String]
        /// The network namespace that is "the host"; nil is the program's own.
        public var hostNamespace: SharedFD?

        public init(
            bridgeName: String = "skiff0", nftTable: String = "skiff", ipv4Pool: [String] = Configuration.standardPool,
            hostNamespace: SharedFD? = nil
        ) {
            self.bridgeName = bridgeName
            self.nftTable = nftTable
            self.ipv4Pool = ipv4Pool
            self.hostNamespace = hostNamespace
        }

        /// Private ranges that neither Docker nor home routers begin with.
        public static let standardPool =
            (18...30).reversed().map { "172.\($0).0.0/16" } + (200...215).map { "10.\($0).0.0/16" }
    }
}

/// The bridge networks of one engine on one host.
///
/// Order for a container: `reserve` (addresses, ports, database), `connect` once its network namespace exists,
/// `disconnect` when it has ended. `prepare` comes before everything else. Blocking work happens on plain threads.
public actor BridgeNetworks {
    let logger: Logger
    let configuration: Configuration

    public init(logger: Logger, configuration: Configuration) {
        self.logger = logger
        self.configuration = configuration
    }

    /// Makes what all containers share: bridge, addresses, forwarding, firewall. Repairs what is there; idempotent.
    public func prepare() async throws {}

    /// Chooses addresses and host ports, holds the ports and writes the endpoint to the database. Nothing on the host
    /// changes but the ports held. Throws `NetworkError` with Docker's texts for ports that are taken.
    public func reserve(containerID: String, ports: [PublishedPort]) async throws -> EndpointInfo {
        throw NetworkError.notReserved(containerID: containerID)
    }

    /// Gives the network namespace of `pid` its interface `eth0`, addresses and routes, then opens the published ports.
    /// When it throws, the caller calls `disconnect`.
    public func connect(_ endpoint: EndpointInfo, pid: Int32) async throws {}

    /// Closes the published ports, removes the interface and forgets the endpoint. Not an error when there is none.
    public func disconnect(containerID: String) async {}

    /// After a restart of the engine: opens the ports of the running containers again, removes what is left of all others.
    public func reconcile(running: Set<String>) async {}

    /// Removes the bridge, the firewall table and all endpoints.
    public func remove() async {}

    /// The endpoint of a container that has one.
    public func endpoint(containerID: String) -> EndpointInfo? { nil }

    /// The networks with their endpoints, for `network ls` and `network inspect`. Empty before `prepare`.
    public func info() -> [NetworkInfo] { [] }
}
