import Glibc
import Linux
import Testing

@testable import Networking

/// The table of docs/networking.md: who reaches whom.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct ReachabilityTests {
    private enum Origin: String, CaseIterable {
        case outside, host, localhost, itself, neighbour, otherNetwork, internalNetwork
    }

    private struct Stage {
        let web: TestContainer
        let hidden: TestContainer
        let namespaces: [Origin: SharedFD]
    }

    /// A published container on one network; others on it, on a second network and on an internal one. Where a bridge takes one
    /// container alone, none of them is on the first.
    private func prepare(_ networks: Networks, _ host: TestHost, _ proto: TransportProtocol) async throws -> Stage {
        _ = try await networks.create(NetworkRequest(name: "back"))
        _ = try await networks.create(NetworkRequest(name: "other"))
        var inside = NetworkRequest(name: "inside")
        inside.isInternal = true
        _ = try await networks.create(inside)
        let ports = [PublishedPort(hostPort: 8080, containerPort: 80, proto: proto)]
        for network in ["back", "inside"] { _ = try await TestContainer.connect("first", networks, network: network) }
        let web = try await TestContainer.connect("web", networks, ports: ports, network: "back")
        let neighbour = try await TestContainer.connect("neighbour", networks, network: "back")
        let stranger = try await TestContainer.connect("stranger", networks, network: "other")
        let hidden = try await TestContainer.connect("hidden", networks, network: "inside")
        let captive = try await TestContainer.connect("captive", networks, network: "inside")
        return Stage(
            web: web, hidden: hidden,
            namespaces: [
                .outside: host.outside, .host: host.namespace, .localhost: host.namespace, .itself: web.namespace,
                .neighbour: neighbour.namespace, .otherNetwork: stranger.namespace, .internalNetwork: captive.namespace,
            ])
    }

    @Test(
        "everybody reaches what the table says, and nothing else, on one bridge and on many",
        arguments: [(TransportProtocol.tcp, 900), (.udp, 900), (.tcp, 1)])
    func matrix(proto: TransportProtocol, containersPerBridge: Int) async throws {
        try await TestHost.with { host in
            try await host.withNetworks(containersPerBridge: containersPerBridge) { networks in
                let stage = try await prepare(networks, host, proto)
                let server = try await WhoAmIServer.start(80, proto, in: stage.web.namespace)
                let other = try await WhoAmIServer.start(80, proto, in: stage.hidden.namespace)
                // Whoever is outside knows the way to the networks.
                for endpoint in [stage.web.endpoint, stage.hidden.endpoint] {
                    try await run("/usr/sbin/ip", "route", "add", endpoint.ipv4 + "/32", "via", TestHost.address4, in: host.outside)
                    try await run("/usr/sbin/ip", "route", "add", endpoint.ipv6 + "/128", "via", TestHost.address6, in: host.outside)
                }
                for family in AddressFamily.allCases {
                    try await checkDirect(stage, family, proto)
                    try await checkPublished(stage, family, proto)
                    try await checkHidden(stage, family, proto)
                }
                try await server.finish()
                try await other.finish()
            }
        }
    }

    private func reaches(_ address: String, _ port: UInt16, _ proto: TransportProtocol, _ stage: Stage, _ origin: Origin, expected: Bool)
        async throws
    {
        let namespace = try #require(stage.namespaces[origin])
        let answer = try await ask(address, port, proto, from: namespace, milliseconds: expected ? 3000 : 200)
        #expect((answer != nil) == expected, "\(origin) to \(address):\(port)/\(proto)")
        if origin == .outside, expected {
            #expect(answer == (address.contains(":") ? TestHost.outside6 : TestHost.outside4))
        }
    }

    private func checkDirect(_ stage: Stage, _ family: AddressFamily, _ proto: TransportProtocol) async throws {
        let expectations: [Origin: Bool] = [
            .outside: false, .host: true, .itself: true, .neighbour: true, .otherNetwork: false, .internalNetwork: false,
        ]
        for (origin, expected) in expectations {
            try await reaches(stage.web.address(family), 80, proto, stage, origin, expected: expected)
        }
    }

    private func checkPublished(_ stage: Stage, _ family: AddressFamily, _ proto: TransportProtocol) async throws {
        let address = family == .v4 ? TestHost.address4 : TestHost.address6
        for origin in Origin.allCases where origin != .localhost {
            try await reaches(address, 8080, proto, stage, origin, expected: origin != .internalNetwork)
        }
        if family == .v4 { try await reaches("127.0.0.1", 8080, proto, stage, .localhost, expected: true) }
    }

    private func checkHidden(_ stage: Stage, _ family: AddressFamily, _ proto: TransportProtocol) async throws {
        for origin in Origin.allCases where origin != .localhost {
            try await reaches(
                stage.hidden.address(family), 80, proto, stage, origin, expected: [.host, .internalNetwork].contains(origin))
        }
    }

    @Test("from an internal network nothing of the host answers, not even the gateway")
    func internalIsClosed() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let stage = try await prepare(networks, host, .tcp)
                let server = try await WhoAmIServer.start(9000, .tcp, in: host.namespace)
                let captive = try #require(stage.namespaces[.internalNetwork])
                let endpoint = stage.hidden.endpoint
                for address in [endpoint.ipv4Gateway, endpoint.ipv6Gateway, TestHost.address4, TestHost.address6] {
                    #expect(try await ask(address, 9000, from: captive, milliseconds: 200) == nil, "\(address)")
                }
                let neighbour = try #require(stage.namespaces[.neighbour])
                #expect(try await ask(stage.web.endpoint.ipv4Gateway, 9000, from: neighbour) != nil)
                try await server.finish()
            }
        }
    }

    @Test("a range of a thousand ports is one element, and each of them answers")
    func ranges() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let ports = (UInt16(8000)...8999).map { PublishedPort(hostPort: $0, containerPort: $0) }
                let clock = ContinuousClock()
                let start = clock.now
                let web = try await TestContainer.connect("web", networks, ports: ports)
                print("1,000 published ports: \(clock.now - start)")
                let counts = try await within(host.namespace) {
                    var socket = try NftSocket()
                    return (
                        try socket.elements(table: "skt", set: "anyrange4").count, try socket.elements(table: "skt", set: "any4").count
                    )
                }
                #expect(counts == (1, 0))
                for port in [UInt16(8000), 8500, 8999] {
                    let server = try await WhoAmIServer.start(port, .tcp, in: web.namespace)
                    #expect(try await ask(TestHost.address4, port, from: host.outside) == TestHost.outside4)
                    #expect(try await ask(TestHost.address6, port, from: host.outside) == TestHost.outside6)
                    try await server.finish()
                }
                await networks.disconnect(containerID: "web")
                let left = try await within(host.namespace) {
                    var socket = try NftSocket()
                    return try socket.elements(table: "skt", set: "anyrange4").count
                }
                #expect(left == 0)
            }
        }
    }

    @Test("a container of a macvlan network stands on the parent's cable, with a hardware address of its own")
    func macvlan() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var lan = NetworkRequest(name: "lan", driver: "macvlan")
                lan.options = ["parent": "up0"]
                lan.subnets = [NetworkInfo.Subnet("198.51.100.0/24", range: "198.51.100.64/28", gateway: TestHost.outside4)]
                _ = try await networks.create(lan)
                let box = try await TestContainer.connect("box", networks, network: "lan")
                #expect(box.endpoint.ipv4 == "198.51.100.64" && box.endpoint.hostInterface == "" && box.endpoint.ipv6 == "")
                let server = try await WhoAmIServer.start(80, .tcp, in: host.outside)
                #expect(try await ask(TestHost.outside4, 80, from: box.namespace) == box.endpoint.ipv4)
                try await server.finish()
                await networks.disconnect(containerID: "box")
                _ = try await networks.remove("lan")
                var missing = NetworkRequest(name: "missing", driver: "macvlan")
                missing.options = ["parent": "nowhere0"]
                await #expect(throws: NetworkError.self) { try await networks.create(missing) }
                #expect(await networks.info().map(\.name) == ["bridge"])
            }
        }
    }

    @Test("whoever deletes a bridge or its rules finds them back within a second")
    func heals() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let back = try await networks.create(NetworkRequest(name: "back"))
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)], network: "back")
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                try await networks.startWatching()
                try await run("/usr/sbin/ip", "link", "del", back.device, in: host.namespace)
                var answer: String?
                let end = ContinuousClock.now + .seconds(5)
                while answer == nil, ContinuousClock.now < end {
                    answer = try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 100)
                }
                #expect(answer == TestHost.outside4)
                try await server.finish()
            }
        }
    }
}
