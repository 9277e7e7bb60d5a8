import Blocking
import Glibc
import Linux
import SystemPackage
import Testing

@testable import Networking

/// Endpoints come, go and survive the engine.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct EndpointTests {
    @Test("a container gets eth0 with its addresses, the gateway's routes and the uplink's MTU, and loopback")
    func configuresTheContainer() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let container = try await TestContainer.connect("c", networks)
                let endpoint = container.endpoint
                let (links, addresses, routes, advertisements) = try await within(container.namespace) {
                    var socket = try RouteSocket()
                    return (
                        try socket.links(), try socket.addresses().map(\.prefix.description),
                        try AddressFamily.allCases.flatMap { try socket.routes($0) }.filter(\.isDefault).map(
                            \.gateway?.description),
                        try NetworkSettings.read("ipv6/conf/eth0/accept_ra")
                    )
                }
                #expect(links.filter(\.isUp).map(\.name) == ["lo", "eth0"])
                #expect(links.last?.mtu == TestHost.mtu)
                #expect(links.last.map { HardwareAddress.text($0.hardwareAddress) } == endpoint.macAddress)
                #expect(addresses.contains("\(endpoint.ipv4)/\(endpoint.ipv4PrefixLength)"))
                #expect(addresses.contains("\(endpoint.ipv6)/\(endpoint.ipv6PrefixLength)"))
                #expect(routes == [endpoint.ipv4Gateway, endpoint.ipv6Gateway])
                #expect(advertisements == 0)
                #expect(try await networks.counters(containerID: "c") != nil)
                #expect(await networks.info().first?.endpoints == [endpoint])
                await networks.disconnect(containerID: "c")
                for network in await networks.networks.values { await network.settle() }
                let bridge = try await within(host.namespace) { () throws -> Link? in
                    var socket = try RouteSocket()
                    return try socket.link(named: "skt0")
                }
                #expect(bridge?.mtu == TestHost.mtu)
            }
        }
    }

    @Test("a process without a network namespace of its own is refused, one with is connected")
    func connectsProcesses() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let endpoint = try await networks.reserve(containerID: "c", ports: [])
                await #expect(throws: NetworkError.self) {
                    try await networks.connect(endpoint, namespace: host.namespace)
                }
                let (pid, ready) = try await startProcess()
                try await networks.connect(endpoint, pid: pid)
                #expect(try await networks.counters(containerID: "c") != nil)
                kill(pid, SIGKILL)
                var status: Int32 = 0
                waitpid(pid, &status, 0)
                _ = ready.raw
                await networks.disconnect(containerID: "c")
                await networks.disconnect(containerID: "c")
                #expect(await networks.endpoint(containerID: "c") == nil)
            }
        }
    }

    /// A process in a network namespace of its own, which has said so.
    private func startProcess() async throws -> (pid_t, SharedFD) {
        var ends: [Int32] = [0, 0]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let reader = SharedFD(OwnedFD(adopting: ends[0]))
        let writer = OwnedFD(adopting: ends[1])
        let pid = try spawn(
            "/usr/bin/unshare", arguments: ["-n", "/bin/sh", "-c", "echo ready; exec sleep 60"],
            environment: ["PATH=/usr/bin:/bin"], descriptors: [0, writer.raw, 2])
        try writer.close()
        try await blocking {
            var byte: UInt8 = 0
            try check("read") { read(reader.raw, &byte, 1) }
        }
        return (pid, reader)
    }

    @Test("ports that are taken are refused with Docker's words, and nothing is left of the attempt")
    func refusesTakenPorts() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let port = PublishedPort(hostPort: 8080, containerPort: 80)
                _ = try await networks.reserve(containerID: "a", ports: [port])
                for other in ["", "0.0.0.0", "127.0.0.1", TestHost.address4] {
                    let error = await #expect(throws: NetworkError.self) {
                        var port = port
                        port.hostAddress = other
                        _ = try await networks.reserve(
                            containerID: "b", ports: [PublishedPort(containerPort: 1), port])
                    }
                    let address = other.isEmpty ? "0.0.0.0" : other
                    #expect(error?.description == "Bind for \(address):8080 failed: port is already allocated")
                }
                let squatter = try await within(host.namespace) {
                    SharedSocket(try BoundSocket(IPAddress(v4: 0), port: 9000, .udp))
                }
                let error = await #expect(throws: NetworkError.self) {
                    try await networks.reserve(
                        containerID: "b",
                        ports: [
                            PublishedPort(hostPort: 9000, containerPort: 1),
                            PublishedPort(hostPort: 9000, containerPort: 1, proto: .udp),
                        ])
                }
                #expect(error?.description == "failed to bind host port 0.0.0.0:9000/udp: address already in use")
                #expect(squatter.port == 9000)
                let wrong = await #expect(throws: NetworkError.self) {
                    try await networks.reserve(
                        containerID: "b",
                        ports: [PublishedPort(hostAddress: "192.0.2.77", hostPort: 1, containerPort: 1)])
                }
                #expect(
                    wrong?.description == "failed to bind host port 192.0.2.77:1/tcp: cannot assign requested address")
                #expect(await networks.endpoint(containerID: "b") == nil)
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 9000, .tcp) } == 0)
                await #expect(throws: NetworkError.alreadyConnected(containerID: "a")) {
                    try await networks.reserve(containerID: "a", ports: [])
                }
            }
        }
    }

    @Test("other programs cannot take a published port while the container runs", arguments: [TransportProtocol.tcp, .udp])
    func holdsPorts(proto: TransportProtocol) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let endpoint = try await networks.reserve(
                    containerID: "a", ports: [PublishedPort(containerPort: 80, proto: proto)])
                let port = try #require(endpoint.ports.first).hostPort
                #expect(port >= 1024)
                for address in ["0.0.0.0", "127.0.0.1", "::"] {
                    #expect(try await within(host.namespace) { try tryToListen(address, port, proto) } == EADDRINUSE)
                }
                await networks.disconnect(containerID: "a")
                for address in ["0.0.0.0", "::"] {
                    #expect(try await within(host.namespace) { try tryToListen(address, port, proto) } == 0)
                }
            }
        }
    }

    @Test("a UDP client that never stops sending reaches the next container, not the memory of the last one")
    func forgetsConnections() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let ports = [PublishedPort(hostPort: 5353, containerPort: 53, proto: .udp)]
                let client = try await Client.connect(TestHost.address4, 5353, in: host.outside)
                for name in ["first", "second"] {
                    #expect(try await client.ask(milliseconds: 300) == nil)
                    let container = try await TestContainer.connect(name, networks, ports: ports)
                    let server = try await WhoAmIServer.start(53, .udp, in: container.namespace)
                    #expect(try await client.ask(milliseconds: 3000) == TestHost.outside4)
                    await networks.disconnect(containerID: name)
                    try await server.finish()
                }
            }
        }
    }

    @Test("all containers of all networks count for the room that the kernel has for neighbours, also after a restart of the engine")
    func countNeighbours() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let networks = host.networks(database)
            try await networks.prepare()
            let back = try await networks.create(NetworkRequest(name: "back")).id
            for id in ["a", "b"] { _ = try await networks.reserve(containerID: id, ports: []) }
            _ = try await networks.reserve(EndpointRequest(containerID: "a", networkID: back))
            #expect(await networks.parts.neighbours.containers == 3)
            await networks.disconnect(containerID: "b")
            #expect(await networks.parts.neighbours.containers == 2)
            await networks.dropSockets()
            let new = host.networks(database)
            try await new.prepare()
            #expect(await new.parts.neighbours.containers == 2)
            try await new.remove()
        }
    }

    @Test("fifty containers at once get addresses and ports of their own")
    func manyAtOnce() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let start = ContinuousClock.now
                let containers = try await withThrowingTaskGroup(of: TestContainer.self) { group in
                    for number in 0..<50 {
                        group.addTask {
                            try await TestContainer.connect(
                                "c\(number)", networks,
                                ports: [
                                    PublishedPort(containerPort: 80), PublishedPort(containerPort: 53, proto: .udp),
                                ])
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let connected = ContinuousClock.now
                #expect(Set(containers.map(\.endpoint.ipv4)).count == 50)
                #expect(Set(containers.map(\.endpoint.ipv6)).count == 50)
                #expect(Set(containers.flatMap(\.endpoint.ports)).count == 100)
                for container in containers.prefix(3) {
                    let server = try await WhoAmIServer.start(80, .tcp, in: container.namespace)
                    let port = try #require(container.endpoint.ports.first).hostPort
                    #expect(try await ask(TestHost.address4, port, from: host.outside) == TestHost.outside4)
                    try await server.finish()
                }
                let asked = ContinuousClock.now
                await withTaskGroup(of: Void.self) { group in
                    for container in containers {
                        group.addTask { await networks.disconnect(containerID: container.id) }
                    }
                }
                print("50 endpoints: \(connected - start) to connect, \(ContinuousClock.now - asked) to disconnect")
                #expect(await networks.info().first?.endpoints.isEmpty == true)
            }
        }
    }

    @Test("one after the other is quick enough to be told: the figure is printed")
    func oneAtATime() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var reserve = Duration.zero
                var connect = Duration.zero
                var disconnect = Duration.zero
                let clock = ContinuousClock()
                for number in 0..<30 {
                    let namespace = try await makeNamespace()
                    let first = clock.now
                    let endpoint = try await networks.reserve(
                        containerID: "c\(number)", ports: [PublishedPort(containerPort: 80)])
                    let second = clock.now
                    try await networks.connect(endpoint, namespace: namespace)
                    let third = clock.now
                    await networks.disconnect(containerID: "c\(number)")
                    reserve += second - first
                    connect += third - second
                    disconnect += clock.now - third
                }
                print("each: reserve \(reserve / 30), connect \(connect / 30), disconnect \(disconnect / 30)")
            }
        }
    }
}

/// A bound socket that can be captured.
private final class SharedSocket: Sendable {
    private let socket: BoundSocket
    init(_ socket: consuming BoundSocket) { self.socket = socket }
    var port: UInt16 { socket.port }
}
