import Glibc
import Linux
import Testing

@testable import Networking

/// Other programs that have rules on the same host.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct CoexistenceTests {
    private static let comment = "\"skt: passed on as its own table says\""
    private static let iptables = ["/usr/sbin/iptables", "/usr/sbin/ip6tables"]

    @Test("where iptables drops what it does not know, as Docker and ufw make it, containers are reached and reach others all the same")
    func passesForward() async throws {
        try await TestHost.with { host in
            for program in Self.iptables { try await run(program, "-P", "FORWARD", "DROP", in: host.namespace) }
            try await host.withNetworks { networks in
                _ = try await networks.create(NetworkRequest(name: "back"))
                let ports = [PublishedPort(hostPort: 8080, containerPort: 80)]
                let web = try await TestContainer.connect("web", networks, ports: ports, network: "back")
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                let outside = try await WhoAmIServer.start(7000, .tcp, in: host.outside)
                let foreign = try await ForeignBridge.make(host)
                let other = try await WhoAmIServer.start(80, .tcp, in: foreign)
                try await networks.startWatching()
                for address in [TestHost.address4, TestHost.address6] { #expect(try await ask(address, 8080, from: host.outside) != nil) }
                for address in [TestHost.outside4, TestHost.outside6] { #expect(try await ask(address, 7000, from: web.namespace) != nil) }
                // What others have closed stays closed.
                #expect(try await ask(ForeignBridge.inside, 80, from: host.namespace) != nil)
                #expect(try await ask(ForeignBridge.inside, 80, from: web.namespace, milliseconds: 200) == nil)
                #expect(try await ask(web.endpoint.ipv4, 80, from: foreign, milliseconds: 200) == nil)

                // Somebody writes all of it anew, as `ufw reload` does.
                try await run(Self.iptables[0], "-F", "FORWARD", in: host.namespace)
                var answer: String?
                let end = ContinuousClock.now + .seconds(5)
                while answer == nil, ContinuousClock.now < end {
                    answer = try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 100)
                }
                #expect(answer == TestHost.outside4)

                // iptables reads what stands there, and it goes with the network.
                let device = try await networks.find("back").device
                #expect(try await forwardRules(host).contains("-A FORWARD -o \(device) -m comment --comment \(Self.comment) -j ACCEPT"))
                for server in [server, outside, other] { try await server.finish() }
                await networks.disconnect(containerID: "web")
                _ = try await networks.remove("back")
                #expect(
                    try await forwardRules(host) == [
                        "-P FORWARD DROP", "-A FORWARD -o skt0 -m comment --comment \(Self.comment) -j ACCEPT",
                        "-A FORWARD -i skt0 -o up0 -m comment --comment \(Self.comment) -j ACCEPT",
                    ])
            }
            #expect(try await forwardRules(host) == ["-P FORWARD DROP"])
        }
    }

    @Test("rules that come later, and filters that drop nothing, are met as they are")
    func followsLaterRules() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let web = try await TestContainer.connect("web", networks, ports: [PublishedPort(hostPort: 8080, containerPort: 80)])
                let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
                try await networks.startWatching()
                try await run(Self.iptables[0], "-S", "FORWARD", in: host.namespace)
                #expect(try await forwardRules(host) == ["-P FORWARD ACCEPT"])
                try await run(Self.iptables[0], "-P", "FORWARD", "DROP", in: host.namespace)
                var answer: String?
                let end = ContinuousClock.now + .seconds(5)
                while answer == nil, ContinuousClock.now < end {
                    answer = try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 100)
                }
                #expect(answer == TestHost.outside4)
                // What somebody drops by a rule of his own stays dropped, though it was written behind ours.
                try await run(Self.iptables[0], "-A", "FORWARD", "-s", TestHost.outside4, "-j", "DROP", in: host.namespace)
                let after = ContinuousClock.now + .seconds(5)
                while try await forwardRules(host).last?.contains(Self.comment) != true, ContinuousClock.now < after {}
                #expect(try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 300) == nil)
                try await run(Self.iptables[0], "-D", "FORWARD", "-s", TestHost.outside4, "-j", "DROP", in: host.namespace)
                #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
                try await server.finish()

                // A way out that comes later is one as well, as that of a VPN.
                try await run("/usr/sbin/ip", "link", "add", "late0", "up", "type", "veth", "peer", "late1", in: host.namespace)
                try await run("/usr/sbin/ip", "link", "set", "late1", "up", in: host.namespace)
                try await run("/usr/sbin/ip", "address", "add", "192.0.2.1/24", "dev", "late0", in: host.namespace)
                #expect(try await !forwardRules(host).contains { $0.contains("-i skt0 -o late0 ") })
                try await run("/usr/sbin/ip", "route", "add", "198.18.0.0/15", "via", "192.0.2.2", in: host.namespace)
                let limit = ContinuousClock.now + .seconds(5)
                while try await !forwardRules(host).contains(where: { $0.contains("-i skt0 -o late0 ") }) {
                    try #require(ContinuousClock.now < limit)
                }
                // And none any more when nothing goes by it.
                try await run("/usr/sbin/ip", "route", "del", "198.18.0.0/15", in: host.namespace)
                while try await forwardRules(host).contains(where: { $0.contains("-i skt0 -o late0 ") }) {
                    try #require(ContinuousClock.now < limit)
                }
            }
        }
    }

    @Test("containers that come and go are no news of the ways out of the host")
    func containersAreNoUplinks() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                _ = try await TestContainer.connect("first", networks)
                let (uplinks, links, routes) = try await within(host.namespace) {
                    (try Uplinks.read(), try NetlinkListener(.links), try NetlinkListener(.routes))
                }
                #expect(uplinks.names == ["up0"])
                _ = try await TestContainer.connect("second", networks)
                await networks.disconnect(containerID: "second")
                for network in await networks.networks.values { await network.settle() }
                var changes: Set<NetlinkListener.Change> = []
                for listener in [links, routes] {
                    var more = try listener.changes()
                    while !more.isEmpty {
                        changes.formUnion(more)
                        more = try listener.changes()
                    }
                }
                #expect(!changes.isEmpty)
                for change in changes { #expect(!uplinks.mayMove(change), "\(change)") }
            }
        }
    }

    /// As `iptables -S FORWARD` prints them, whatever else it prints.
    private func forwardRules(_ host: TestHost) async throws -> [String] {
        try await output("/usr/sbin/iptables", "-S", "FORWARD", in: host.namespace).split(separator: "\n").map(String.init)
    }
}

/// A bridge of somebody else's on the same host, with one machine on it.
enum ForeignBridge {
    static let address = "203.0.113.1"
    static let inside = "203.0.113.2"

    static func make(_ host: TestHost) async throws -> SharedFD {
        let machine = try await makeNamespace()
        try await within(host.namespace) {
            var socket = try RouteSocket()
            try socket.createBridge("fr0", hardwareAddress: [2, 0, 0, 0, 9, 1])
            let bridge = try #require(try socket.link(named: "fr0")).index
            try socket.addAddress(try #require(IPPrefix("\(address)/24")), to: bridge)
            try socket.setUp(bridge)
            try socket.createVeth(
                VethPair(
                    name: "fr1", master: bridge, peerName: "eth0", peerHardwareAddress: [2, 0, 0, 0, 9, 2], peerNamespace: machine.raw, mtu: 1500))
        }
        try await within(machine) {
            var socket = try RouteSocket()
            let link = try #require(try socket.link(named: "eth0")).index
            try socket.addAddress(try #require(IPPrefix("\(inside)/24")), to: link)
            try socket.setUp(link)
            try socket.addDefaultRoute(gateway: try #require(IPAddress(address)), link: link)
        }
        return machine
    }
}
