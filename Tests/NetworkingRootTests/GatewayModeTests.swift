import Glibc
import Linux
import Testing

@testable import Networking

/// Networks whose containers are seen by their own addresses, or whose bridge has none.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct GatewayModeTests {
    private func network(_ networks: Networks, _ name: String, _ mode: String, isInternal: Bool = false) async throws {
        var request = NetworkRequest(name: name)
        request.isInternal = isInternal
        for family in ["ipv4", "ipv6"] { request.options["com.docker.network.bridge.gateway_mode_\(family)"] = mode }
        _ = try await networks.create(request)
    }

    private func letOutsideKnow(_ container: TestContainer, _ host: TestHost) async throws {
        try await run("/usr/sbin/ip", "route", "add", container.endpoint.ipv4 + "/32", "via", TestHost.address4, in: host.outside)
        try await run("/usr/sbin/ip", "route", "add", container.endpoint.ipv6 + "/128", "via", TestHost.address6, in: host.outside)
    }

    @Test("on a routed network what is published is open at the container's own address, and nothing else")
    func routed() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                try await network(networks, "open", "routed")
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)], network: "open")
                #expect(web.endpoint.ports.isEmpty && web.endpoint.openPorts?.count == 2)
                let stranger = try await TestContainer.connect("stranger", networks)
                try await letOutsideKnow(web, host)
                let published = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let hidden = try await WhoAmIServer.start(81, .tcp, in: web.namespace)
                let outside = try await WhoAmIServer.start(7000, .tcp, in: host.outside)
                for (family, own, target) in [
                    (AddressFamily.v4, TestHost.address4, TestHost.outside4), (.v6, TestHost.address6, TestHost.outside6),
                ] {
                    #expect(try await ask(web.address(family), 80, from: host.outside) == target)
                    #expect(try await ask(web.address(family), 80, from: stranger.namespace) != nil)
                    #expect(try await ask(web.address(family), 81, from: host.outside, milliseconds: 200) == nil)
                    #expect(try await ask(web.address(family), 81, from: stranger.namespace, milliseconds: 200) == nil)
                    #expect(try await ask(own, 8080, from: host.outside, milliseconds: 200) == nil)
                    #expect(try await ask(target, 7000, from: web.namespace) == web.address(family))
                }
                try await refusesAddresses(networks)
                // Whoever gets the address next has nothing open by that.
                await networks.disconnect(containerID: "web")
                let next = try await TestContainer.connect("next", networks, network: "open") { [endpoint = web.endpoint] in
                    ($0.ipv4, $0.ipv6) = (endpoint.ipv4, endpoint.ipv6)
                }
                let closed = try await WhoAmIServer.start(80, .tcp, in: next.namespace)
                for family in AddressFamily.allCases {
                    #expect(try await ask(next.address(family), 80, from: host.namespace) != nil)
                    #expect(try await ask(next.address(family), 80, from: host.outside, milliseconds: 200) == nil)
                }
                try await closed.finish()
                for server in [published, hidden, outside] { try await server.finish() }
            }
        }
    }

    private func refusesAddresses(_ networks: Networks) async throws {
        let network = try await networks.find("open").id
        func reserve(_ address: String, _ port: UInt16 = 0) async throws -> EndpointInfo {
            var request = EndpointRequest(containerID: "x", networkID: network)
            request.ports = [PublishedPort(hostAddress: address, hostPort: port, containerPort: 80)]
            return try await networks.reserve(request)
        }
        let begin = "NAT is disabled, omit host address in port mapping"
        await #expect(throws: NetworkError.refused(.invalid, "\(begin) 127.0.0.1:8080:80/tcp, or use 0.0.0.0::80 to open port 80 for IPv4-only")) {
            _ = try await reserve("127.0.0.1", 8080)
        }
        await #expect(throws: NetworkError.refused(.invalid, "\(begin) [::2]::80/tcp, or use [::]::80 to open port 80 for IPv6-only")) {
            _ = try await reserve("::2")
        }
        #expect(try await reserve("0::0").openPorts?.map(\.hostAddress) == ["::"])
        await networks.disconnect(containerID: "x")

        // The address that a network publishes at by itself is for what it translates.
        var mixed = NetworkRequest(name: "mixed")
        mixed.options = ["com.docker.network.bridge.host_binding_ipv4": "127.0.0.1", "com.docker.network.bridge.gateway_mode_ipv4": "routed"]
        var request = EndpointRequest(containerID: "x", networkID: try await networks.create(mixed).id)
        request.ports = [PublishedPort(containerPort: 80)]
        let endpoint = try await networks.reserve(request)
        #expect(endpoint.ports.isEmpty && endpoint.openPorts?.map(\.hostAddress) == ["0.0.0.0"])
        await networks.disconnect(containerID: "x")
    }

    @Test("an unprotected network is open to those who know the way, but not to other networks; an isolated one is not for the host")
    func unprotectedAndIsolated() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                try await network(networks, "open", "nat-unprotected")
                let web = try await TestContainer.connect("web", networks, network: "open")
                let stranger = try await TestContainer.connect("stranger", networks)
                try await letOutsideKnow(web, host)
                let server = try await WhoAmIServer.start(81, .tcp, in: web.namespace)
                for family in AddressFamily.allCases {
                    #expect(try await ask(web.address(family), 81, from: host.outside) != nil)
                    #expect(try await ask(web.address(family), 81, from: stranger.namespace, milliseconds: 200) == nil)
                }
                try await server.finish()

                await #expect(throws: NetworkError.refused(.invalid, "gateway mode 'isolated' can only be used for an internal network")) {
                    try await network(networks, "alone", "isolated")
                }
                try await network(networks, "alone", "isolated", isInternal: true)
                let one = try await TestContainer.connect("one", networks, network: "alone")
                let two = try await TestContainer.connect("two", networks, network: "alone")
                #expect(one.endpoint.ipv4Gateway.isEmpty && one.endpoint.ipv6Gateway.isEmpty)
                let inside = try await WhoAmIServer.start(81, .tcp, in: one.namespace)
                let device = try await networks.find("alone").device
                let addresses = try await within(host.namespace) { () throws -> [LinkAddress] in
                    var socket = try RouteSocket()
                    let link = try #require(try socket.link(named: device)).index
                    return try socket.addresses().filter { $0.link == link }
                }
                #expect(addresses.isEmpty)
                for family in AddressFamily.allCases {
                    #expect(try await ask(one.address(family), 81, from: two.namespace) == two.address(family))
                    #expect(try await ask(one.address(family), 81, from: host.namespace, milliseconds: 200) == nil)
                }
                try await inside.finish()
            }
        }
    }

    @Test("what is open at a container's own address stays so with the next engine, and closes with the container")
    func survivesTheEngine() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            try await network(old, "open", "routed")
            let web = try await TestContainer.connect("web", old, ports: [PublishedPort(hostPort: 8080, containerPort: 80)], network: "open")
            try await letOutsideKnow(web, host)
            let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
            await old.dropSockets()

            let new = host.networks(database)
            await new.reconcile(running: ["web"])
            #expect(await new.endpoint(containerID: "web", network: "open") == web.endpoint)
            for family in AddressFamily.allCases { #expect(try await ask(web.address(family), 80, from: host.outside) != nil) }
            await new.disconnect(containerID: "web")
            let open = try await within(host.namespace) { () throws -> Int in
                var socket = try NftSocket()
                return try OpenPortSet.allCases.reduce(0) { try $0 + socket.elements(table: "skt", set: $1.rawValue).count }
            }
            #expect(open == 0)
            try await server.finish()
            try await new.remove()
        }
    }

    @Test("a move of the gateway that a killed engine has noted and not made is made by the next one")
    func finishesMoves() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                _ = try await networks.create(NetworkRequest(name: "back"))
                let (bridge, back) = (try await networks.network("bridge"), try await networks.network("back"))
                let web = try await TestContainer.connect("web", networks)
                var request = EndpointRequest(containerID: "web", networkID: back.id)
                (request.interfaceNumber, request.isGateway) = (1, false)
                let second = try await networks.reserve(request)
                try await networks.connect(second, namespace: web.namespace)
                func gateways() async throws -> [String] {
                    try await within(web.namespace) {
                        var socket = try RouteSocket()
                        return try AddressFamily.allCases.flatMap { try socket.routes($0) }.filter(\.isDefault).compactMap { $0.gateway?.description }
                    }
                }
                try await networks.settleRoutes(containerID: "web", namespace: web.namespace)
                #expect(try await gateways() == [web.endpoint.ipv4Gateway, web.endpoint.ipv6Gateway])
                _ = try await bridge.change("web", isGateway: false)
                _ = try await back.change("web", isGateway: true)
                try await networks.settleRoutes(containerID: "web", namespace: web.namespace)
                #expect(try await gateways() == [second.ipv4Gateway, second.ipv6Gateway])
                // What somebody makes of it inside stays.
                try await run("/usr/sbin/ip", "route", "replace", "default", "via", web.endpoint.ipv4Gateway, in: web.namespace)
                try await networks.settleRoutes(containerID: "web", namespace: web.namespace)
                #expect(try await gateways() == [web.endpoint.ipv4Gateway, second.ipv6Gateway])
            }
        }
    }

    @Test("ranges that overlap are open, and neighbours that must not see each other do not by way of the host")
    func rangesAndNeighbours() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var request = NetworkRequest(name: "apart")
                request.options = ["com.docker.network.bridge.enable_icc": "false"]
                for family in ["ipv4", "ipv6"] { request.options["com.docker.network.bridge.gateway_mode_\(family)"] = "routed" }
                _ = try await networks.create(request)
                var range = PublishedPort(hostPort: 1080, containerPort: 70)
                range.count = 21
                let ports = [range, PublishedPort(hostPort: 8080, containerPort: 80), PublishedPort(hostPort: 8081, containerPort: 80)]
                let web = try await TestContainer.connect("web", networks, ports: ports, network: "apart")
                let neighbour = try await TestContainer.connect("neighbour", networks, network: "apart")
                try await letOutsideKnow(web, host)
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                for (family, length) in [(AddressFamily.v4, "/32"), (.v6, "/128")] {
                    #expect(try await ask(web.address(family), 80, from: host.outside) != nil)
                    let gateway = family == .v4 ? neighbour.endpoint.ipv4Gateway : neighbour.endpoint.ipv6Gateway
                    try await run("/usr/sbin/ip", "route", "add", web.address(family) + length, "via", gateway, in: neighbour.namespace)
                    #expect(try await ask(web.address(family), 80, from: neighbour.namespace, milliseconds: 200) == nil)
                }
                try await server.finish()
            }
        }
    }

    @Test("with the gateway go the ports, as each network publishes them, or everything stays")
    func movesPorts() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                try await network(networks, "open", "routed")
                let wanted = [PublishedPort(hostPort: 8080, containerPort: 80)]
                let web = try await TestContainer.connect("web", networks, ports: wanted, network: "open")
                try await letOutsideKnow(web, host)
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let (open, bridge) = (try await networks.find("open").id, try await networks.find("bridge").id)
                var request = EndpointRequest(containerID: "web", networkID: bridge)
                (request.interfaceNumber, request.isGateway) = (1, false)
                try await networks.connect(try await networks.reserve(request), namespace: web.namespace)
                func move(_ old: String?, _ new: String?) async throws {
                    try await networks.moveGateway(containerID: "web", from: old, to: new, publishing: wanted, namespace: web.namespace)
                }
                func isPublished() async throws -> [Bool] {
                    [
                        try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 300) != nil,
                        try await ask(web.endpoint.ipv4, 80, from: host.outside, milliseconds: 300) != nil,
                    ]
                }
                #expect(try await isPublished() == [false, true])
                _ = try await networks.reserve(containerID: "other", ports: wanted)
                await #expect(throws: NetworkError.self) { try await move(open, bridge) }
                #expect(try await isPublished() == [false, true])
                await networks.disconnect(containerID: "other")
                try await move(open, bridge)
                #expect(try await isPublished() == [true, false])
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == EADDRINUSE)
                #expect(await networks.endpoint(containerID: "web")?.ports == wanted)
                try await move(bridge, open)
                #expect(try await isPublished() == [false, true])
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == 0)
                // Without a gateway nothing is published; with the next one it is again.
                try await move(open, nil)
                #expect(try await isPublished() == [false, false])
                try await move(nil, bridge)
                #expect(try await isPublished() == [true, false])
                try await move(bridge, nil)
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == 0)
                try await server.finish()
            }
        }
    }
}
