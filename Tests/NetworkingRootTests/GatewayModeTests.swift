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
                for address in ["127.0.0.1", "::2"] {
                    await #expect(throws: NetworkError.self) {
                        var request = EndpointRequest(containerID: "x", networkID: try await networks.find("open").id)
                        request.ports = [PublishedPort(hostAddress: address, hostPort: 8080, containerPort: 80)]
                        _ = try await networks.reserve(request)
                    }
                }
                await networks.disconnect(containerID: "web")
                _ = try await TestContainer.connect("web", networks, network: "open")
                #expect(try await ask(web.endpoint.ipv4, 80, from: host.outside, milliseconds: 200) == nil)
                for server in [published, hidden, outside] { try await server.finish() }
            }
        }
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
}
