import Glibc
import Linux
import Store
import Testing

@testable import Networking

/// What the kernel remembers of UDP does not outlive what it was about.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct ConnectionTests {
    private func makeNetwork(_ networks: Networks, _ name: String, _ mode: String) async throws -> String {
        var request = NetworkRequest(name: name)
        for family in ["ipv4", "ipv6"] { request.options["com.docker.network.bridge.gateway_mode_\(family)"] = mode }
        return try await networks.create(request).id
    }

    private func letOutsideKnow(_ container: TestContainer, _ host: TestHost) async throws {
        try await run("/usr/sbin/ip", "route", "add", container.endpoint.ipv4 + "/32", "via", TestHost.address4, in: host.outside)
        try await run("/usr/sbin/ip", "route", "add", container.endpoint.ipv6 + "/128", "via", TestHost.address6, in: host.outside)
    }

    @Test(
        "who gets an address next, and opens nothing, hears nothing of those who go on sending to the last one",
        arguments: ["routed", "nat-unprotected"])
    func toOwnAddress(mode: String) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let open = try await makeNetwork(networks, "open", mode)
                let subnets = try await networks.find(open).subnets.map(\.prefix)
                let ports = [PublishedPort(hostPort: 5353, containerPort: 53, proto: .udp)]
                let first = try await TestContainer.connect("first", networks, ports: ports, network: "open")
                try await letOutsideKnow(first, host)
                let server = try await WhoAmIServer.start(53, .udp, in: first.namespace)
                var clients: [Client] = []
                for (family, target) in [(AddressFamily.v4, TestHost.outside4), (.v6, TestHost.outside6)] {
                    let client = try await Client.connect(first.address(family), 53, in: host.outside)
                    #expect(try await client.ask(milliseconds: 3000) == target)
                    clients.append(client)
                }
                await networks.disconnect(containerID: "first")
                try await server.finish()

                // The same subnets in another network, where nobody is reached.
                _ = try await networks.remove("open")
                var request = NetworkRequest(name: "closed")
                request.subnets = subnets.map { NetworkInfo.Subnet($0) }
                _ = try await networks.create(request)
                let next = try await TestContainer.connect("next", networks, network: "closed") { [endpoint = first.endpoint] in
                    ($0.ipv4, $0.ipv6) = (endpoint.ipv4, endpoint.ipv6)
                }
                let closed = try await WhoAmIServer.start(53, .udp, in: next.namespace)
                #expect(try await ask(next.endpoint.ipv4, 53, .udp, from: host.namespace) != nil)
                for client in clients { #expect(try await client.ask(milliseconds: 200) == nil) }
                try await closed.finish()
            }
        }
    }

    @Test("answers that go on coming for a container that has ended reach nobody, also where no engine has seen its end", arguments: [true, false])
    func answers(isSeen: Bool) async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            var networks = host.networks(database)
            try await networks.prepare()
            let sender = try await Sender.start(7000, in: host.outside)
            for target in [TestHost.outside4, TestHost.outside6] {
                let first = try await TestContainer.connect("first", networks)
                let client = try await Client.connect(target, 7000, from: 4000, in: first.namespace)
                #expect(try await client.ask(milliseconds: 0) == nil)
                #expect(try await sender.isAsked())
                sender.answer()
                #expect(try await client.hear(milliseconds: 3000) == "!")
                if isSeen {
                    await networks.disconnect(containerID: "first")
                } else {
                    try await database.endpoints.delete(containerID: "first", networkID: first.endpoint.networkID)
                    try await run("/usr/sbin/ip", "link", "del", first.endpoint.hostInterface, in: host.namespace)
                    await networks.dropSockets()
                    networks = host.networks(database)
                    try await networks.prepare()
                }
                let next = try await TestContainer.connect("next", networks) { [endpoint = first.endpoint] in
                    ($0.ipv4, $0.ipv6) = (endpoint.ipv4, endpoint.ipv6)
                }
                let heir = try await Client.connect(target, 7000, from: 4000, in: next.namespace)
                sender.answer()
                #expect(try await heir.hear(milliseconds: 200) == nil)
                await networks.disconnect(containerID: "next")
                for network in await networks.networks.values { await network.settle() }
            }
            try await networks.remove()
        }
    }

    /// On all of these networks, the first of which has its gateway.
    private func connect(_ networks: Networks, to ids: [String], _ ports: [PublishedPort]) async throws -> TestContainer {
        let web = try await TestContainer.connect("web", networks, ports: ports, network: ids[0])
        for (number, id) in ids.enumerated().dropFirst() {
            var request = EndpointRequest(containerID: "web", networkID: id)
            (request.interfaceNumber, request.isGateway) = (number, false)
            try await networks.connect(try await networks.reserve(request), namespace: web.namespace)
        }
        return web
    }

    @Test("a client that goes on sending follows a move of the gateway, and reaches nothing that the move has closed")
    func moves() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let (open, back) = (try await makeNetwork(networks, "open", "routed"), try await makeNetwork(networks, "back", "nat"))
                let bridge = try await networks.find("bridge").id
                let wanted = [PublishedPort(hostPort: 5353, containerPort: 53, proto: .udp)]
                let web = try await connect(networks, to: [open, bridge, back], wanted)
                func move(_ old: String?, _ new: String?) async throws {
                    try await networks.moveGateway(containerID: "web", from: old, to: new, publishing: wanted, namespace: web.namespace)
                }
                // Answers go where they went, whatever becomes of the default route.
                func answer(by network: String) async throws {
                    let gateway = try #require(await networks.endpoint(containerID: "web", network: network)).ipv4Gateway
                    try await run("/usr/sbin/ip", "route", "replace", TestHost.outside4 + "/32", "via", gateway, in: web.namespace)
                }
                try await letOutsideKnow(web, host)
                let server = try await WhoAmIServer.start(53, .udp, in: web.namespace)
                let direct = try await Client.connect(web.endpoint.ipv4, 53, in: host.outside)
                #expect(try await direct.ask(milliseconds: 3000) == TestHost.outside4)
                try await answer(by: open)
                try await move(open, nil)
                #expect(try await direct.ask(milliseconds: 200) == nil)

                try await run("/usr/sbin/ip", "route", "del", TestHost.outside4 + "/32", in: web.namespace)
                try await move(nil, bridge)
                let published = try await Client.connect(TestHost.address4, 5353, in: host.outside)
                #expect(try await published.ask(milliseconds: 3000) == TestHost.outside4)
                try await move(bridge, back)
                #expect(try await published.ask(milliseconds: 3000) == TestHost.outside4)
                try await answer(by: back)
                try await move(back, nil)
                #expect(try await published.ask(milliseconds: 200) == nil)
                try await server.finish()
            }
        }
    }
}
