import Glibc
import Linux
import Store
import Testing

@testable import Networking

/// What becomes of a move of a container's gateway that does not come to its end.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct GatewayMoveTests {
    /// A container on the default network, its gateway, and on another one.
    private func connect(_ networks: Networks, _ port: PublishedPort, options: [String: String] = [:]) async throws -> (TestContainer, EndpointInfo) {
        var back = NetworkRequest(name: "back")
        back.options = options
        var request = EndpointRequest(containerID: "web", networkID: try await networks.create(back).id)
        let web = try await TestContainer.connect("web", networks, ports: [port])
        (request.interfaceNumber, request.isGateway) = (1, false)
        let second = try await networks.reserve(request)
        try await networks.connect(second, namespace: web.namespace)
        return (web, second)
    }

    private func gateways(_ container: TestContainer) async throws -> [String] {
        try await within(container.namespace) {
            var socket = try RouteSocket()
            return try AddressFamily.allCases.flatMap { try socket.routes($0) }.filter(\.isDefault).compactMap { $0.gateway?.description }
        }
    }

    private func isPublished(_ host: TestHost) async throws -> Bool {
        let sets = PortMap.allCases.map(\.rawValue)
        return try await within(host.namespace) { () throws -> Bool in
            var socket = try NftSocket()
            return try sets.contains { try !socket.elements(table: "skt", set: $0).isEmpty }
        }
    }

    @Test("a container that ends while its gateway moves leaves no port open, none held, and no row")
    func ends() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let networks = host.networks(database)
            try await networks.prepare()
            let (web, second) = try await connect(networks, PublishedPort(hostPort: 8080, containerPort: 80))
            let ports = web.endpoint.ports
            let move = try await networks.noteMove(containerID: "web", from: web.endpoint.networkID, to: second.networkID, publishing: ports)
            await networks.disconnect(containerID: "web")
            await #expect(throws: NetworkError.self) { try await networks.make(move, web.namespace) }
            #expect(try await !isPublished(host))
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == 0)
            #expect(try await database.endpoints.all().isEmpty)
            // What is written down too late does not come back either.
            try await database.endpoints.update([second.record])
            #expect(try await database.endpoints.all().isEmpty)
            try await networks.remove()
        }
    }

    @Test("a move that fails half-way leaves routes, ports and rows as they were; ports are published as the new network does it")
    func fails() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let networks = host.networks(database)
            try await networks.prepare()
            let options = ["com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"]
            let (web, second) = try await connect(networks, PublishedPort(containerPort: 80), options: options)
            let wanted = [PublishedPort(containerPort: 80)]
            let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
            let port = try #require(web.endpoint.ports.first).hostPort
            let rows = try await database.endpoints.all()
            func move() async throws {
                try await networks.moveGateway(
                    containerID: "web", from: web.endpoint.networkID, to: second.networkID, publishing: wanted, namespace: web.namespace)
            }
            // One family finds its way, the other does not.
            try await run("/usr/sbin/ip", "-6", "address", "flush", "dev", "eth1", in: web.namespace)
            await #expect(throws: (any Error).self) { try await move() }
            #expect(try await gateways(web) == [web.endpoint.ipv4Gateway, web.endpoint.ipv6Gateway])
            #expect(await networks.endpoint(containerID: "web") == web.endpoint)
            #expect(await networks.endpoint(containerID: "web", network: "back") == second)
            #expect(try await database.endpoints.all() == rows)
            #expect(try await ask(TestHost.address4, port, from: host.outside) == TestHost.outside4)
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", port, .tcp) } == EADDRINUSE)

            try await run("/usr/sbin/ip", "-6", "address", "add", second.ipv6 + "/64", "dev", "eth1", "nodad", in: web.namespace)
            try await move()
            #expect(try await gateways(web) == [second.ipv4Gateway, second.ipv6Gateway])
            let moved = try #require(await networks.endpoint(containerID: "web", network: "back")?.ports.first)
            #expect(moved.hostAddress == "127.0.0.1")
            #expect(try await ask("127.0.0.1", moved.hostPort, from: host.namespace) != nil)
            for address in [TestHost.address4, TestHost.address6] {
                for port in [port, moved.hostPort] { #expect(try await ask(address, port, from: host.outside, milliseconds: 200) == nil) }
            }
            try await server.finish()
            try await networks.remove()
        }
    }
}
