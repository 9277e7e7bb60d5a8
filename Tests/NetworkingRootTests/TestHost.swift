import Blocking
import Glibc
import Linux
import Logging
import Store
import SystemPackage
import Testing

@testable import Networking

/// A host of its own: a network namespace with a device `up0` that leads to another namespace, "outside". Both end with
/// the test; the machine's own network is never touched.
final class TestHost: Sendable {
    static let address4 = "198.51.100.1"
    static let address6 = "2001:db8:51::1"
    static let outside4 = "198.51.100.2"
    static let outside6 = "2001:db8:51::2"
    static let mtu: UInt32 = 1420

    let namespace: SharedFD
    let outside: SharedFD
    private let directory: FilePath

    private init(namespace: SharedFD, outside: SharedFD, directory: FilePath) {
        self.namespace = namespace
        self.outside = outside
        self.directory = directory
    }

    static func with<T>(_ body: (TestHost) async throws -> T) async throws -> T {
        let directory = FilePath("/tmp/skiff-network-test-\(randomID().prefix(16))")
        try #require(mkdir(directory.string, 0o700) == 0)
        defer { removeFiles(directory) }
        let namespace = try await makeNamespace()
        let outside = try await makeNamespace()
        let host = TestHost(namespace: namespace, outside: outside, directory: directory)
        try await host.layCable()
        return try await body(host)
    }

    /// A database of its own for each name.
    func database(_ name: String = "skiff") async throws -> Database {
        try await Database.open(directory.appending("\(name).db"))
    }

    func networks(
        _ database: Database, bridge: String = "skt0", table: String = "skt",
        pool: [String] = Networks.Configuration.standardPool, resolverFiles: [FilePath] = [], followsInputPolicy: Bool = false,
        containersPerBridge: Int = 900
    ) -> Networks {
        var configuration = Networks.Configuration(
            bridgeName: bridge, nftTable: table, ipv4Pool: pool, hostNamespace: namespace)
        configuration.resolverFiles = resolverFiles
        configuration.followsInputPolicy = followsInputPolicy
        configuration.containersPerBridge = containersPerBridge
        return Networks(database: database, logger: Logger(label: "test"), configuration: configuration)
    }

    /// Prepared networks that are taken away again at the end.
    func withNetworks<T>(containersPerBridge: Int = 900, _ body: (Networks) async throws -> T) async throws -> T {
        let networks = networks(try await database(), containersPerBridge: containersPerBridge)
        try await networks.prepare()
        let result: T
        do {
            result = try await body(networks)
        } catch {
            try await networks.remove()
            throw error
        }
        try await networks.remove()
        return result
    }

    /// Has the kernel show bridged frames to the firewall, or not. Where it cannot, the test that wants it is skipped, or fails when
    /// nothing may be missing.
    func setBridgeFilter(_ value: Int) async throws {
        let isThere = try await within(namespace) { () throws -> Bool in
            for name in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
                guard try NetworkSettings.read(name) != nil else { return false }
                try NetworkSettings.write(name, value)
            }
            return true
        }
        guard value != 0, !isThere else { return }
        let reason: Comment = "skipped: the module br_netfilter is not loaded"
        try #require(getenv("STRICT_TESTS") == nil, reason)
        // A single argument is skipped in silence.
        Issue.record(reason, severity: .warning)
        try Test.cancel(reason)
    }

    private func layCable() async throws {
        try await within(namespace) { [outside] in
            var socket = try RouteSocket()
            try socket.createVeth(
                VethPair(
                    name: "up0", master: 0, peerName: "out0", peerHardwareAddress: [2, 0, 0, 0, 0, 2],
                    peerNamespace: outside.raw, mtu: Self.mtu))
            try addAddresses([Self.address4 + "/24", Self.address6 + "/64", "fe80::1/64"], to: "up0", &socket)
        }
        try await within(outside) {
            var socket = try RouteSocket()
            try addAddresses([Self.outside4 + "/24", Self.outside6 + "/64", "fe80::2/64"], to: "out0", &socket)
        }
        try await within(namespace) {
            var socket = try RouteSocket()
            let link = try #require(try socket.link(named: "up0")).index
            for gateway in [Self.outside4, Self.outside6] {
                try socket.addDefaultRoute(gateway: try #require(IPAddress(gateway)), link: link)
            }
        }
    }
}

private func addAddresses(_ prefixes: [String], to name: String, _ socket: inout RouteSocket) throws {
    let link = try #require(try socket.link(named: name)).index
    // Usable at once: the kernel's own link-local address would be checked for duplicates for a second or two.
    try NetworkSettings.write("ipv6/conf/\(name)/addr_gen_mode", 1)
    for text in prefixes { try socket.addAddress(try #require(IPPrefix(text)), to: link) }
    try socket.setUp(link)
}

private func removeFiles(_ directory: FilePath) {
    for name in ["skiff", "other"] {
        for ending in ["", "-wal", "-shm"] { unlink(directory.appending("\(name).db\(ending)").string) }
    }
    rmdir(directory.string)
}

/// A network namespace with nothing but loopback; it ends with the last descriptor.
func makeNamespace() async throws -> SharedFD {
    try await onThrowawayThread {
        try NetworkNamespace.enterNew()
        var socket = try RouteSocket()
        if let loopback = try socket.link(named: "lo") { try socket.setUp(loopback.index) }
        return SharedFD(try NetworkNamespace.current())
    }
}

func within<T: Sendable>(_ namespace: SharedFD, _ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await onThrowawayThread {
        try NetworkNamespace.enter(namespace.raw)
        return try body()
    }
}

/// Runs a program in a namespace and expects success.
func run(_ arguments: String..., in namespace: SharedFD) async throws {
    try await run(arguments, in: namespace)
}

func run(_ arguments: [String], in namespace: SharedFD) async throws {
    let status = try await within(namespace) {
        let pid = try spawn(
            FilePath(arguments[0]), arguments: Array(arguments.dropFirst()), environment: [], descriptors: [0, 1, 2])
        var status: Int32 = 0
        try check("waitpid") { waitpid(pid, &status, 0) }
        return status
    }
    #expect(status == 0, "\(arguments)")
}

/// What a program prints that succeeds.
func output(_ arguments: String..., in namespace: SharedFD) async throws -> String {
    let (status, text) = try await within(namespace) {
        var ends: [Int32] = [0, 0]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let reader = OwnedFD(adopting: ends[0])
        let writer = OwnedFD(adopting: ends[1])
        let pid = try spawn(
            FilePath(arguments[0]), arguments: Array(arguments.dropFirst()), environment: [], descriptors: [0, writer.raw, 2])
        try writer.close()
        let text = String(decoding: try reader.readAll(limit: 1 << 20), as: UTF8.self)
        var status: Int32 = 0
        try check("waitpid") { waitpid(pid, &status, 0) }
        return (status, text)
    }
    #expect(status == 0, "\(arguments)")
    return text
}

/// A container as far as the network is concerned: an endpoint and a namespace.
struct TestContainer: Sendable {
    let id: String
    let endpoint: EndpointInfo
    let namespace: SharedFD

    static func connect(
        _ id: String, _ networks: Networks, ports: [PublishedPort] = [], network: String = Networks.defaultNetwork,
        names: [String] = [], receivingRate: Int64 = 0, sendingRate: Int64 = 0, asking: (inout EndpointRequest) throws -> Void = { _ in }
    ) async throws -> TestContainer {
        let namespace = try await makeNamespace()
        try await networks.prepareOnce()
        var request = EndpointRequest(containerID: id, networkID: try await networks.network(network).id)
        request.ports = ports
        request.names = names
        (request.receivingRate, request.sendingRate) = (receivingRate, sendingRate)
        try asking(&request)
        let endpoint = try await networks.reserve(request)
        try await networks.connect(endpoint, namespace: namespace)
        return TestContainer(id: id, endpoint: endpoint, namespace: namespace)
    }

    func address(_ family: AddressFamily) -> String { family == .v4 ? endpoint.ipv4 : endpoint.ipv6 }
}

extension NetworkInfo {
    var ipv4Subnet: String { subnets.first { !$0.prefix.contains(":") }?.prefix ?? "" }
    var ipv4Gateway: String { subnets.first { !$0.prefix.contains(":") }?.gateway ?? "" }
    var ipv6Subnet: String { subnets.first { $0.prefix.contains(":") }?.prefix ?? "" }
}
