import Glibc
import Linux
import Testing

@testable import Networking

/// What outlives the engine, what is repaired, and that nothing is left behind.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct RepairTests {
    @Test("after `remove` the host is as before, but for forwarding")
    func leavesNothing() async throws {
        try await TestHost.with { host in
            let before = try await State.of(host)
            let networks = host.networks(try await host.database())
            try await networks.prepare()
            for number in 0..<3 {
                _ = try await TestContainer.connect(
                    "c\(number)", networks, ports: [PublishedPort(hostPort: UInt16(8000 + number), containerPort: 80)])
            }
            #expect(try await State.of(host) != before)
            try await networks.remove()
            try await networks.remove()
            let after = try await State.of(host)
            #expect(after == before)
            #expect(try await within(host.namespace) { try NetworkSettings.read("ipv4/ip_forward") } == 1)
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8000, .tcp) } == 0)
        }
    }

    /// Devices, addresses, routes, tables and settings of a host.
    private struct State: Equatable, Sendable {
        var links: [String] = []
        var addresses: Set<LinkAddress> = []
        var routes: Set<Route> = []
        var hasTable = false
        var settings: [String: Int] = [:]

        static func of(_ host: TestHost) async throws -> State {
            try await within(host.namespace) {
                var state = State()
                var route = try RouteSocket()
                var nft = try NftSocket()
                state.links = try route.links().map(\.name)
                // The kernel makes link-local addresses by itself, in its own time.
                state.addresses = Set(try route.addresses().filter { $0.prefix.address.bytes[0] != 0xfe })
                for family in AddressFamily.allCases {
                    state.routes.formUnion(try route.routes(family).filter { $0.destination.address.bytes[0] != 0xfe })
                }
                state.hasTable = try nft.hasTable("skt")
                for device in ["all", "default", "lo", "up0"] {
                    for setting in [
                        "ipv4/conf/\(device)/route_localnet", "ipv4/conf/\(device)/rp_filter",
                        "ipv4/conf/\(device)/accept_local", "ipv6/conf/\(device)/accept_ra",
                        "ipv6/conf/\(device)/disable_ipv6", "ipv6/conf/\(device)/accept_dad",
                    ] { state.settings[setting] = try NetworkSettings.read(setting) }
                }
                return state
            }
        }
    }

    @Test("a new engine finds the running container's port open and holds it; what is left of the others goes")
    func reconciles() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            let ports = [PublishedPort(hostPort: 8080, containerPort: 80)]
            let running = try await TestContainer.connect("running", old, ports: ports)
            let dead = try await TestContainer.connect(
                "dead", old, ports: [PublishedPort(hostPort: 8081, containerPort: 80)])
            let server = try await WhoAmIServer.start(80, .tcp, in: running.namespace)
            // The engine dies: its sockets close, everything else stays.
            await old.dropSockets()

            let new = host.networks(database)
            try await new.prepare()
            #expect(await new.endpoint(containerID: "running") == running.endpoint)
            #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
            await new.reconcile(running: ["running"])
            #expect(await new.endpoint(containerID: "dead") == nil)
            #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == EADDRINUSE)
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8081, .tcp) } == 0)
            for network in await new.networks.values { await network.settle() }
            let links = try await within(host.namespace) { () throws -> [String] in
                var socket = try RouteSocket()
                return try socket.links().map(\.name)
            }
            #expect(links.contains(running.endpoint.hostInterface))
            #expect(!links.contains(dead.endpoint.hostInterface))
            // The addresses of the running one are not given out again.
            let next = try await new.reserve(containerID: "next", ports: [])
            #expect(next.ipv4 != running.endpoint.ipv4)
            #expect(next.ipv6Gateway == running.endpoint.ipv6Gateway)
            try await server.finish()
            try await new.remove()
        }
    }

    @Test("a flush of all rules by another program opens nothing and closes nothing")
    func survivesFlush() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let info = try #require(await networks.info().first)
                try await run(
                    "/usr/sbin/ip", "route", "add", info.ipv4Subnet, "via", TestHost.address4, in: host.outside)
                try await run("/usr/sbin/nft", "flush", "ruleset", in: host.namespace)
                #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
                #expect(try await ask(web.endpoint.ipv4, 80, from: host.outside, milliseconds: 300) == nil)
                try await server.finish()
            }
        }
    }

    @Test("on a kernel that does not protect tables, the next change puts a lost one back")
    func putsTableBack() async throws {
        try await TestHost.with { host in
            let id = String(repeating: "0", count: 64)
            let subnet = try #require(IPPrefix("172.30.0.0/16"))
            var network = NetworkDefinition(
                id: id, name: "bridge", created: "", device: "skt0", ipv4: Subnet(subnet), storedIPv6: nil)
            network.hasIPv6 = false
            let networks = [network]
            let endpoints = (2...3).map { number in
                EndpointInfo(
                    containerID: "c\(number)", networkName: "bridge", networkID: id, endpointID: "e\(number)",
                    ipv4: "172.30.0.\(number)",
                    ipv4PrefixLength: 16, ipv4Gateway: "172.30.0.1", ipv6: "", ipv6PrefixLength: 0, ipv6Gateway: "",
                    macAddress: "", ports: [PublishedPort(hostPort: UInt16(8000 + number), containerPort: 80)],
                    hostInterface: "")
            }
            let table = FirewallTable(table: "skt", isProtected: false)
            try await within(host.namespace) {
                try table.install(with: networks)
                try table.open(endpoints[0])
            }
            for family in ["inet", "bridge"] { try await run("/usr/sbin/nft", "delete", "table", family, "skt", in: host.namespace) }
            try await within(host.namespace) { try table.open(endpoints[1]) }
            try await run("/usr/sbin/nft", "list", "table", "bridge", "skt", in: host.namespace)
            #expect(try await elements(host) == [[6, 0, 0, 0, 0x1f, 0x42, 0, 0], [6, 0, 0, 0, 0x1f, 0x43, 0, 0]])
            try await run("/usr/sbin/nft", "delete", "table", "inet", "skt", in: host.namespace)
            try await within(host.namespace) { try table.close(endpoints[0]) }
            #expect(try await elements(host) == [[6, 0, 0, 0, 0x1f, 0x43, 0, 0]])
            try await within(host.namespace) {
                try table.uninstall()
                try table.uninstall()
            }
            #expect(try await output("/usr/sbin/nft", "list", "ruleset", in: host.namespace) == "")
        }
    }

    /// The keys of the ports that are open at all addresses.
    private func elements(_ host: TestHost) async throws -> [[UInt8]] {
        try await within(host.namespace) {
            var socket = try NftSocket()
            return try socket.elements(table: "skt", set: "any4").map(\.key).sorted { $0.lexicographicallyPrecedes($1) }
        }
    }

    @Test("a bridge that somebody removed comes back, with the running containers in it")
    func heals() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let ports = [PublishedPort(hostPort: 8080, containerPort: 80)]
                let web = try await TestContainer.connect("web", networks, ports: ports)
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
                try await run("/usr/sbin/ip", "link", "del", "skt0", in: host.namespace)
                #expect(try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 300) == nil)
                try await networks.prepare()
                #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
                #expect(try await ask(TestHost.address6, 8080, from: host.outside) == TestHost.outside6)
                try await server.finish()
            }
        }
    }

    @Test("a network whose device cannot be had has its rules all the same")
    func failsClosed() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            let device = try await old.create(NetworkRequest(name: "back")).device
            await old.dropSockets()
            try await run("/usr/sbin/ip", "link", "del", device, in: host.namespace)
            try await run("/usr/sbin/ip", "link", "add", device, "type", "veth", "peer", "other", in: host.namespace)
            let new = host.networks(database)
            try await new.prepare()
            let bridges = try await within(host.namespace) { () throws -> [[UInt8]] in
                var socket = try NftSocket()
                return try socket.elements(table: "skt", set: BridgeMap.inward.rawValue).map(\.key)
            }
            #expect(bridges.contains(Rule.name(device)) && bridges.contains(Rule.name("skt0")))
            try await new.remove()
        }
    }

    @Test("a cable that cannot be put back keeps no bridge down")
    func healsAround() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let device = try await networks.create(NetworkRequest(name: "back")).device
                var containers: [TestContainer] = []
                for (name, network) in [("one", "bridge"), ("two", "bridge"), ("three", "back"), ("four", "back")] {
                    containers.append(try await TestContainer.connect(name, networks, network: network))
                }
                for device in ["skt0", device] { try await run("/usr/sbin/ip", "link", "del", device, in: host.namespace) }
                // What has a device on top of it becomes no port.
                for index in [0, 2] {
                    try await run(
                        "/usr/sbin/ip", "link", "add", "top\(index)", "link", containers[index].endpoint.hostInterface, "type", "macvlan",
                        in: host.namespace)
                }
                try await networks.prepare()
                for index in [1, 3] {
                    let server = try await WhoAmIServer.start(80, .tcp, in: containers[index].namespace)
                    #expect(try await ask(containers[index].endpoint.ipv4, 80, from: host.namespace) != nil)
                    try await server.finish()
                }
            }
        }
    }

    @Test("containers that must not see each other do not after the bridge has come back either")
    func healsApart() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var request = NetworkRequest(name: "apart")
                request.options = ["com.docker.network.bridge.enable_icc": "false"]
                let device = try await networks.create(request).device
                let one = try await TestContainer.connect("one", networks, network: "apart")
                let two = try await TestContainer.connect("two", networks, network: "apart")
                let server = try await WhoAmIServer.start(80, .tcp, in: one.namespace)
                try await run("/usr/sbin/ip", "link", "del", device, in: host.namespace)
                try await networks.prepare()
                #expect(try await ask(one.endpoint.ipv4, 80, from: host.namespace) != nil)
                for family in AddressFamily.allCases {
                    #expect(try await ask(one.address(family), 80, from: two.namespace, milliseconds: 200) == nil)
                }
                try await server.finish()
            }
        }
    }

    @Test(
        "two engines on one host have subnets of their own and do not reach each other's containers but by published ports"
    )
    func sideBySide() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { first in
                let second = host.networks(try await host.database("other"), bridge: "skt1", table: "skt-other")
                try await second.prepare()
                let port = PublishedPort(hostPort: 8080, containerPort: 80)
                let client = try await TestContainer.connect("c", first)
                let web = try await TestContainer.connect("c", second, ports: [port])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                #expect(await first.info().first?.ipv4Subnet != second.info().first?.ipv4Subnet)
                #expect(try await ask(web.endpoint.ipv4, 80, from: client.namespace, milliseconds: 300) == nil)
                #expect(try await ask(web.endpoint.ipv6, 80, from: client.namespace, milliseconds: 300) == nil)
                #expect(try await ask(TestHost.address4, 8080, from: client.namespace) != nil)
                await #expect(throws: NetworkError.self) { try await first.reserve(containerID: "d", ports: [port]) }
                try await server.finish()
                try await second.remove()
                let table = try await within(host.namespace) { () throws -> Bool in
                    var socket = try NftSocket()
                    return try socket.hasTable("skt")
                }
                #expect(table)
            }
        }
    }

    @Test("a subnet that the host has a route into is not chosen")
    func avoidsConflicts() async throws {
        try await TestHost.with { host in
            try await run("/usr/sbin/ip", "route", "add", "172.30.8.0/24", "via", TestHost.outside4, in: host.namespace)
            let networks = host.networks(
                try await host.database(), pool: ["172.30.0.0/16", "198.51.0.0/16", "10.99.0.0/24"])
            try await networks.prepare()
            #expect(await networks.info().first?.ipv4Subnet == "10.99.0.0/24")
            try await networks.remove()
        }
    }

    @Test("a host without IPv6 has a network without, and keeps the chosen prefix for later")
    func worksWithoutIPv6() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            func run(disabled: Int) async throws -> (NetworkInfo, TestContainer) {
                try await within(host.namespace) {
                    try NetworkSettings.write("ipv6/conf/default/disable_ipv6", disabled)
                }
                let networks = host.networks(database)
                try await networks.prepare()
                let web = try await TestContainer.connect(
                    "web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
                let info = try #require(await networks.info().first)
                try await server.finish()
                try await networks.remove()
                return (info, web)
            }
            let (with, _) = try await run(disabled: 0)
            let (without, container) = try await run(disabled: 1)
            #expect(without.ipv6Subnet == "" && container.endpoint.ipv6 == "")
            let (again, _) = try await run(disabled: 0)
            #expect(again.ipv6Subnet == with.ipv6Subnet && again.ipv6Subnet != "")
            #expect(again.id == without.id && again.ipv4Subnet == without.ipv4Subnet)
        }
    }

    @Test("a default route that came by advertisement stays when the host begins to forward")
    func keepsAdvertisedRoute() async throws {
        try await TestHost.with { host in
            try await run("/usr/sbin/ip", "-6", "route", "del", "default", in: host.namespace)
            try await run(
                "/usr/sbin/ip", "-6", "route", "add", "default", "via", TestHost.outside6, "dev", "up0", "proto", "ra",
                in: host.namespace)
            try await host.withNetworks { _ in
                let settings = try await within(host.namespace) {
                    (
                        try NetworkSettings.read("ipv6/conf/up0/accept_ra"),
                        try NetworkSettings.read("ipv6/conf/all/forwarding")
                    )
                }
                #expect(settings == (2, 1))
            }
        }
    }
}

extension Networks {
    /// What the death of the engine does to its sockets.
    func dropSockets() async {
        for network in networks.values {
            for endpoint in await network.infos() { parts.ports.release(endpoint.containerID) }
        }
        parts.firewall.letGo()
    }
}
