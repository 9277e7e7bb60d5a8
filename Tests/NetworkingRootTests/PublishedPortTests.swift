import Glibc
import Linux
import Networking
import Testing

/// Who reaches what, with real packets.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct PublishedPortTests {
    @Test(
        "a published port answers from outside, from the host, from loopback, from a neighbour and from the container itself",
        arguments: [TransportProtocol.tcp, .udp], AddressFamily.allCases)
    func reachesEverybody(proto: TransportProtocol, family: AddressFamily) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let port = PublishedPort(hostPort: 8080, containerPort: 80, proto: proto)
                let web = try await TestContainer.connect("web", networks, ports: [port])
                let other = try await TestContainer.connect("other", networks)
                let server = try await WhoAmIServer.start(80, proto, in: web.namespace)
                let isV4 = family == .v4
                let address = isV4 ? TestHost.address4 : TestHost.address6
                let gateway = isV4 ? web.endpoint.ipv4Gateway : web.endpoint.ipv6Gateway

                // The client's own address arrives, unless the answer would not find its way back without the host.
                #expect(
                    try await ask(address, 8080, proto, from: host.outside)
                        == (isV4 ? TestHost.outside4 : TestHost.outside6))
                #expect(try await ask(address, 8080, proto, from: host.namespace) == address)
                if isV4 { #expect(try await ask("127.0.0.1", 8080, proto, from: host.namespace) == gateway) }
                #expect(try await ask(gateway, 8080, proto, from: host.namespace) == gateway)
                #expect(try await ask(address, 8080, proto, from: other.namespace) == gateway)
                #expect(try await ask(address, 8080, proto, from: web.namespace) == gateway)
                #expect(try await ask(web.address(family), 80, proto, from: other.namespace) == other.address(family))
                #expect(try await ask(web.address(family), 80, proto, from: host.namespace) == gateway)

                await networks.disconnect(containerID: "web")
                #expect(try await ask(address, 8080, proto, from: host.outside, milliseconds: 300) == nil)
                try await server.finish()
            }
        }
    }

    @Test("the kernel's view of bridged frames makes no difference to who reaches a port", arguments: [0, 1])
    func worksWithAndWithoutBridgeFilter(setting: Int) async throws {
        try await TestHost.with { host in
            try await host.setBridgeFilter(setting)
            try await host.withNetworks { networks in
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)])
                let other = try await TestContainer.connect("other", networks)
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                for address in [TestHost.address4, TestHost.address6] {
                    for namespace in [host.namespace, host.outside, other.namespace, web.namespace] {
                        #expect(try await ask(address, 8080, from: namespace) != nil)
                    }
                }
                try await server.finish()
            }
        }
    }

    @Test("a client that tries the IPv6 loopback first is refused at once, not left waiting")
    func refusesIPv6Loopback() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let start = ContinuousClock.now
                #expect(try await ask("::1", 8080, from: host.namespace, milliseconds: 5000) == nil)
                #expect(ContinuousClock.now - start < .seconds(2))
                await #expect(throws: NetworkError.self) {
                    try await networks.reserve(
                        containerID: "x", ports: [PublishedPort(hostAddress: "::1", hostPort: 1, containerPort: 1)])
                }
                try await server.finish()
            }
        }
    }

    @Test(
        "a container reaches the outside under the host's address", arguments: [TransportProtocol.tcp, .udp],
        AddressFamily.allCases)
    func masquerades(proto: TransportProtocol, family: AddressFamily) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let container = try await TestContainer.connect("c", networks)
                let server = try await WhoAmIServer.start(7000, proto, in: host.outside)
                let (target, source) =
                    family == .v4 ? (TestHost.outside4, TestHost.address4) : (TestHost.outside6, TestHost.address6)
                #expect(try await ask(target, 7000, proto, from: container.namespace) == source)
                try await server.finish()
            }
        }
    }

    @Test("ten thousand ports are one thing, and what the host or a container has of them is named", arguments: [TransportProtocol.tcp, .udp])
    func publishesRuns(proto: TransportProtocol) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var run = PublishedPort(hostPort: 20000, containerPort: 20000, proto: proto)
                run.count = 10_000
                let start = ContinuousClock.now
                let web = try await TestContainer.connect("web", networks, ports: [run])
                let server = try await WhoAmIServer.start(29_999, proto, in: web.namespace)
                #expect(ContinuousClock.now - start < .seconds(2))
                #expect(try await ask(TestHost.address4, 29_999, proto, from: host.outside) == TestHost.outside4)
                #expect(try await ask(TestHost.address6, 29_999, proto, from: host.outside) == TestHost.outside6)
                let single = PublishedPort(hostPort: 25_000, containerPort: 80, proto: proto)
                await #expect(throws: NetworkError.portAllocated(address: "0.0.0.0", port: 25_000, holder: "web")) {
                    try await networks.reserve(containerID: "x", ports: [single])
                }
                // A part of it goes, and is free.
                let closed = PublishedPort(hostPort: 29_999, containerPort: 29_999, proto: proto)
                let left = try await networks.changePorts(containerID: "web", adding: [], removing: [closed, run.single(25_000)]).ports
                #expect(left.map(\.count).sorted() == [4_998, 5_000])
                #expect(try await ask(TestHost.address4, 29_999, proto, from: host.outside, milliseconds: 100) == nil)
                _ = try await networks.reserve(containerID: "x", ports: [single])
                try await server.finish()
                await networks.disconnect(containerID: "x")
                await networks.disconnect(containerID: "web")

                // Without anything being bound the host's own programs are seen.
                let program = try await WhoAmIServer.start(23_456, proto, in: host.namespace)
                await #expect(
                    throws: NetworkError.cannotBind(address: "0.0.0.0", port: 23_456, proto: proto, reason: "address already in use")
                ) { try await networks.reserve(containerID: "web", ports: [run]) }
                #expect(try await networks.isTakenByHost(23_456, proto))
                try await program.finish()
                #expect(try await !networks.isTakenByHost(23_457, proto))
                run.hostAddress = "203.0.113.77"
                await #expect(throws: NetworkError.self) { try await networks.reserve(containerID: "web", ports: [run]) }
                run.hostAddress = ""
                #expect(try await networks.reserve(containerID: "web", ports: [run]).ports == [run])
            }
        }
    }

    @Test("from outside nothing but published ports is reached, even by those who know the way")
    func deniesByDefault() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let published = PublishedPort(hostAddress: "127.0.0.1", hostPort: 8081, containerPort: 80)
                let open = PublishedPort(hostPort: 8080, containerPort: 80)
                let web = try await TestContainer.connect("web", networks, ports: [open, published])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let info = try #require(await networks.info().first)
                try await run(
                    "/usr/sbin/ip", "route", "add", info.ipv4Subnet, "via", TestHost.address4, in: host.outside)
                try await run(
                    "/usr/sbin/ip", "-6", "route", "add", info.ipv6Subnet, "via", TestHost.address6, in: host.outside)

                #expect(try await ask(TestHost.address4, 8080, from: host.outside) != nil)
                #expect(try await ask(web.endpoint.ipv4, 80, from: host.outside, milliseconds: 300) == nil)
                #expect(try await ask(web.endpoint.ipv6, 80, from: host.outside, milliseconds: 300) == nil)
                // Published on loopback only.
                #expect(try await ask("127.0.0.1", 8081, from: host.namespace) == info.ipv4Gateway)
                #expect(try await ask(TestHost.address4, 8081, from: host.outside, milliseconds: 300) == nil)
                try await server.finish()
            }
        }
    }

    /// CVE-2020-8558: packets to 127.0.0.1 that come in by cable.
    @Test("a port published on loopback is not reached by a neighbour who routes 127.0.0.1 to the host")
    func guardsLoopback() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let port = PublishedPort(hostAddress: "127.0.0.1", hostPort: 8081, containerPort: 80)
                let web = try await TestContainer.connect("web", networks, ports: [port])
                let evil = try await TestContainer.connect("evil", networks)
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                for (namespace, device, gateway) in [
                    (host.outside, "out0", TestHost.address4), (evil.namespace, "eth0", evil.endpoint.ipv4Gateway),
                ] {
                    try await within(namespace) { try NetworkSettings.write("ipv4/conf/\(device)/route_localnet", 1) }
                    try await run("/usr/sbin/ip", "addr", "del", "127.0.0.1/8", "dev", "lo", in: namespace)
                    try await run(
                        "/usr/sbin/ip", "route", "add", "127.0.0.1/32", "via", gateway, "dev", device, in: namespace)
                    #expect(try await ask("127.0.0.1", 8081, from: namespace, milliseconds: 300) == nil)
                }
                #expect(try await ask("127.0.0.1", 8081, from: host.namespace) != nil)
                try await server.finish()
            }
        }
    }

    @Test("a packet with somebody else's source address does not leave the bridge", arguments: AddressFamily.allCases)
    func dropsForgedSources(family: AddressFamily) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let isV4 = family == .v4
                let forger = try await TestContainer.connect("forger", networks)
                let server = try await WhoAmIServer.start(7000, .udp, in: host.outside)
                let target = isV4 ? TestHost.outside4 : TestHost.outside6
                let forged = isV4 ? "203.0.113.9/32" : "2001:db8:99::9/128"
                let gateway = isV4 ? forger.endpoint.ipv4Gateway : forger.endpoint.ipv6Gateway
                let router = isV4 ? TestHost.address4 : TestHost.address6
                let source = String(forged.prefix { $0 != "/" })
                func ip(_ words: String..., in namespace: SharedFD) async throws {
                    try await run(["/usr/sbin/ip", isV4 ? "-4" : "-6"] + words, in: namespace)
                }
                #expect(try await ask(target, 7000, .udp, from: forger.namespace) != nil)
                try await ip(
                    "addr", "add", forged, "dev", "eth0", isV4 ? "noprefixroute" : "nodad", in: forger.namespace)
                try await ip(
                    "route", "replace", target, "via", gateway, "dev", "eth0", "src", source, in: forger.namespace)
                // Answers would find their way: only the rule is between the forger and its success.
                try await ip("route", "add", forged, "via", router, in: host.outside)
                try await ip("route", "add", forged, "dev", "skt0", in: host.namespace)
                #expect(try await ask(target, 7000, .udp, from: forger.namespace, milliseconds: 500) == nil)
                try await server.finish()
            }
        }
    }
}
