import Glibc
import Linux
import Testing

@testable import Networking

/// Networks of more containers than a bridge takes.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct SegmentTests {
    private func devices(_ host: TestHost, _ prefix: String) async throws -> [String] {
        try await within(host.namespace) { () throws -> [String] in
            var socket = try RouteSocket()
            return try socket.links().map(\.name).filter { $0.hasPrefix(prefix) }.sorted()
        }
    }

    @Test("bridges come when the others are full, and go when nobody is on them", arguments: [0, 1])
    func growsAndShrinks(bridgeFilter: Int) async throws {
        try await TestHost.with { host in
            try await host.setBridgeFilter(bridgeFilter)
            try await host.withNetworks(containersPerBridge: 2) { networks in
                let port = PublishedPort(hostPort: 8080, containerPort: 80)
                var containers = [try await TestContainer.connect("c0", networks)]
                // Several at once, and all of them want the same new bridge.
                containers += try await withThrowingTaskGroup(of: TestContainer.self) { group in
                    for number in 1...3 { group.addTask { try await TestContainer.connect("c\(number)", networks) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                let web = try await TestContainer.connect("web", networks, ports: [port])
                #expect(try await devices(host, "sg").map { $0.prefix(4) } == ["sg1-", "sg2-"])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                try await isReached(web, containers, host)
                if bridgeFilter == 0 { try await takesAnotherAddress(web, containers, host) }
                try await server.finish()

                for id in ["web", "c0", "c1"] { await networks.disconnect(containerID: id) }
                for network in await networks.networks.values { await network.settle() }
                #expect(try await devices(host, "sg").map { $0.prefix(4) } == ["sg1-"])
                for id in ["c2", "c3"] { await networks.disconnect(containerID: id) }
                for network in await networks.networks.values { await network.settle() }
                for kind in ["sg", "su", "sd"] { #expect(try await devices(host, kind).isEmpty) }
            }
        }
    }

    /// By all, at its own address and its published port.
    private func isReached(_ web: TestContainer, _ others: [TestContainer], _ host: TestHost) async throws {
        for family in AddressFamily.allCases {
            for other in others { #expect(try await ask(web.address(family), 80, from: other.namespace) == other.address(family)) }
            let address = family == .v4 ? TestHost.address4 : TestHost.address6
            for namespace in [host.namespace, others[1].namespace, web.namespace] {
                #expect(try await ask(address, 8080, from: namespace) != nil)
            }
            #expect(try await ask(address, 8080, from: host.outside) == (family == .v4 ? TestHost.outside4 : TestHost.outside6))
            #expect(try await ask(web.address(family), 80, from: host.namespace) != nil)
        }
    }

    /// A container may take another hardware address.
    private func takesAnotherAddress(_ web: TestContainer, _ others: [TestContainer], _ host: TestHost) async throws {
        try await run("/usr/sbin/ip", "link", "set", "eth0", "address", "02:00:00:00:77:77", in: web.namespace)
        for namespace in [host.namespace] + others.map(\.namespace) { try await run("/usr/sbin/ip", "neigh", "flush", "all", in: namespace) }
        for family in AddressFamily.allCases {
            #expect(try await ask(family == .v4 ? TestHost.address4 : TestHost.address6, 8080, from: host.outside) != nil)
            for other in others { #expect(try await ask(web.address(family), 80, from: other.namespace) != nil) }
        }
    }

    @Test("containers that must not see each other do not from bridge to bridge")
    func keepsApart() async throws {
        try await TestHost.with { host in
            try await host.withNetworks(containersPerBridge: 1) { networks in
                var apart = NetworkRequest(name: "apart")
                apart.options = ["com.docker.network.bridge.enable_icc": "false"]
                _ = try await networks.create(apart)
                var lonely: [TestContainer] = []
                for number in 0..<3 { lonely.append(try await TestContainer.connect("l\(number)", networks, network: "apart")) }
                let server = try await WhoAmIServer.start(80, .tcp, in: lonely[1].namespace)
                for other in [lonely[0], lonely[2]] {
                    #expect(try await ask(lonely[1].endpoint.ipv4, 80, from: other.namespace, milliseconds: 200) == nil)
                    #expect(try await ask(lonely[1].endpoint.ipv6, 80, from: other.namespace, milliseconds: 200) == nil)
                }
                #expect(try await ask(lonely[1].endpoint.ipv4, 80, from: host.namespace) != nil)
                try await server.finish()
            }
        }
    }

    @Test("who sends frames to a further bridge of an internal network itself does not get into the host by it, nor out, and that is by our rules")
    func hasNoWayRound() async throws {
        try await TestHost.with { host in
            try await host.withNetworks(containersPerBridge: 1) { networks in
                var inside = NetworkRequest(name: "inside")
                inside.isInternal = true
                _ = try await networks.create(inside)
                _ = try await TestContainer.connect("first", networks, network: "inside")
                let captive = try await TestContainer.connect("captive", networks, network: "inside")
                let inner = try await WhoAmIServer.start(9000, .tcp, in: host.namespace)
                let outer = try await WhoAmIServer.start(9000, .tcp, in: host.outside)
                // The host knows its address from then on: what answers that question would come by the wrong bridge.
                for family in AddressFamily.allCases { #expect(try await ask(captive.address(family), 9, from: host.namespace) == nil) }
                let device = "sg1-\(captive.endpoint.networkID.prefix(8))"
                let address = try await within(host.namespace) { () throws -> String in
                    var socket = try RouteSocket()
                    return HardwareAddress.text(try #require(try socket.link(named: device)).hardwareAddress)
                }
                for (family, gateway) in [("-4", captive.endpoint.ipv4Gateway), ("-6", captive.endpoint.ipv6Gateway)] {
                    try await run(
                        "/usr/sbin/ip", family, "neigh", "replace", gateway, "lladdr", address, "dev", "eth0", in: captive.namespace)
                    try await run("/usr/sbin/ip", family, "route", "add", "default", "via", gateway, in: captive.namespace)
                }
                for target in [
                    captive.endpoint.ipv4Gateway, captive.endpoint.ipv6Gateway, TestHost.address4, TestHost.address6, TestHost.outside4,
                    TestHost.outside6,
                ] { #expect(try await ask(target, 9000, from: captive.namespace, milliseconds: 200) == nil, "\(target)") }

                // Without them, and with IPv6 on that bridge, both find their way into the host.
                await networks.parts.firewall.letGo()
                try await run("/usr/sbin/nft", "delete", "table", "inet", "skt", in: host.namespace)
                try await within(host.namespace) { try NetworkSettings.write("ipv6/conf/\(device)/disable_ipv6", 0) }
                for target in [captive.endpoint.ipv4Gateway, captive.endpoint.ipv6Gateway, TestHost.address4, TestHost.address6] {
                    #expect(try await ask(target, 9000, from: captive.namespace) != nil, "\(target)")
                }
                try await inner.finish()
                try await outer.finish()
            }
        }
    }

    @Test("what somebody removes of them comes back, and a new engine finds them")
    func repairs() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database, containersPerBridge: 1)
            try await old.prepare()
            var containers: [TestContainer] = []
            for number in 0..<3 { containers.append(try await TestContainer.connect("c\(number)", old)) }
            let server = try await WhoAmIServer.start(80, .tcp, in: containers[2].namespace)
            func isWhole() async throws -> Bool {
                for container in containers[0...1] {
                    guard try await ask(containers[2].endpoint.ipv4, 80, from: container.namespace) != nil else { return false }
                }
                return true
            }
            #expect(try await isWhole())
            let id = containers[0].endpoint.networkID.prefix(8)
            for device in ["sg2-\(id)", "su2-\(id)", "skt0"] {
                try await run("/usr/sbin/ip", "link", "del", device, in: host.namespace)
                try await old.prepare()
                #expect(try await isWhole(), "\(device)")
            }
            await old.dropSockets()
            // As an engine leaves it that is killed while it makes one.
            try await run("/usr/sbin/ip", "link", "add", "sg3-\(id)", "type", "bridge", in: host.namespace)

            let new = host.networks(database, containersPerBridge: 1)
            await new.reconcile(running: ["c0", "c2"])
            await new.disconnect(containerID: "c1")
            for network in await new.networks.values { await network.settle() }
            // It is not the last that is empty.
            #expect(try await devices(host, "sg").map { $0.prefix(4) } == ["sg1-", "sg2-"])
            let next = try await TestContainer.connect("next", new)
            #expect(try await ask(containers[2].endpoint.ipv4, 80, from: next.namespace) == next.endpoint.ipv4)
            #expect(try await devices(host, "sg").count == 2)
            try await server.finish()
            try await new.remove()
            for kind in ["sg", "su", "sd", "vsk"] { #expect(try await devices(host, kind).isEmpty) }
        }
    }

    private func bridgesWithRules(_ host: TestHost) async throws -> [[UInt8]] {
        try await within(host.namespace) {
            var socket = try NftSocket()
            return try socket.elements(table: "skt", set: BridgeMap.input.rawValue).map(\.key)
        }
    }

    @Test("what an engine has left of them has its rules or goes")
    func leftOver() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            var request = NetworkRequest(name: "inside")
            request.isInternal = true
            let (bridge, inside) = (try await old.find("bridge"), try await old.create(request))
            await old.dropSockets()
            let (gap, lost) = ("sg2-\(bridge.id.prefix(8))", "sg1-\(inside.id.prefix(8))")
            for name in [gap, lost] {
                try await run("/usr/sbin/ip", "link", "add", name, "type", "bridge", in: host.namespace)
                try await run("/usr/sbin/ip", "link", "set", name, "up", in: host.namespace)
            }
            try await run("/usr/sbin/ip", "link", "del", inside.device, in: host.namespace)
            try await run("/usr/sbin/ip", "link", "add", inside.device, "type", "veth", "peer", "other", in: host.namespace)
            let new = host.networks(database)
            try await new.prepare()
            #expect(try await devices(host, "sg") == [lost])
            #expect(try await bridgesWithRules(host).contains(Rule.name(lost)))
            try await new.remove()
        }
    }

    @Test("bridges that come and go while others are repaired are never without rules")
    func comeAndGoWhileRepaired() async throws {
        try await TestHost.with { host in
            try await host.withNetworks(containersPerBridge: 1) { networks in
                _ = try await TestContainer.connect("first", networks)
                for round in 0..<6 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<2 {
                            group.addTask {
                                _ = try await TestContainer.connect("c\(number)", networks)
                                await networks.disconnect(containerID: "c\(number)")
                            }
                        }
                        for _ in 0..<2 { group.addTask { try await networks.prepare() } }
                        try await group.waitForAll()
                    }
                    // Rules go after what they are for.
                    let (known, there) = (try await bridgesWithRules(host), try await devices(host, "sg"))
                    #expect(there.allSatisfy { known.contains(Rule.name($0)) }, "round \(round)")
                }
                await networks.disconnect(containerID: "first")
                for network in await networks.networks.values { await network.settle() }
                #expect(try await devices(host, "sg").isEmpty)
            }
        }
    }
}
