import Glibc
import Linux
import Testing

@testable import Networking

/// The host's own rules for what comes in decide about published ports.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct InputPolicyTests {
    /// As ufw has it: everything new is dropped but one port; answers and what networks need to work are accepted.
    private static let closed = """
        add table inet filter
        add chain inet filter input { type filter hook input priority 0; policy drop; }
        add rule inet filter input iif lo accept
        add rule inet filter input ct state established,related accept
        add rule inet filter input meta l4proto ipv6-icmp accept
        add rule inet filter input iifname up0 meta l4proto { tcp, udp } th dport 8081 accept
        """

    @Test(
        "from outside only what the host lets in reaches a published port, and the rest of the table stays as it is",
        arguments: [TransportProtocol.tcp, .udp], [0, 1])
    func decides(proto: TransportProtocol, strictness: Int) async throws {
        try await TestHost.with { host in
            try await within(host.namespace) { try NetworkSettings.write("ipv4/conf/all/rp_filter", strictness) }
            let networks = host.networks(try await host.database(), followsInputPolicy: true)
            try await networks.prepare()
            let ports = [8080, 8081].map { PublishedPort(hostPort: $0, containerPort: 80, proto: proto) }
            let web = try await TestContainer.connect("web", networks, ports: ports)
            let neighbour = try await TestContainer.connect("neighbour", networks)
            let server = try await WhoAmIServer.start(80, proto, in: web.namespace)
            func answer(_ address: String, _ port: UInt16, from namespace: SharedFD, milliseconds: Int = 3000) async throws -> String? {
                try await ask(address, port, proto, from: namespace, milliseconds: milliseconds)
            }
            let outside = [(TestHost.address4, TestHost.outside4), (TestHost.address6, TestHost.outside6)]
            // As long as the host says nothing, everything is open.
            for (address, client) in outside { #expect(try await answer(address, 8080, from: host.outside) == client) }

            try await run(["/usr/sbin/nft", Self.closed], in: host.namespace)
            for (address, client) in outside {
                #expect(try await answer(address, 8080, from: host.outside, milliseconds: 200) == nil)
                // The client's address is seen inside.
                #expect(try await answer(address, 8081, from: host.outside) == client)
                for namespace in [host.namespace, neighbour.namespace, web.namespace] {
                    #expect(try await answer(address, 8080, from: namespace) != nil)
                }
            }
            #expect(try await answer("127.0.0.1", 8080, from: host.namespace) != nil)
            // Flushed by somebody, the host's rules are gone, and ours decide nothing more.
            try await run("/usr/sbin/nft", "flush", "ruleset", in: host.namespace)
            #expect(try await answer(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
            await networks.disconnect(containerID: "web")
            #expect(try await answer(TestHost.address4, 8080, from: host.outside, milliseconds: 200) == nil)
            try await server.finish()
            try await networks.remove()
            try await isGone(host)
        }
    }

    @Test("networks get the MTU of the way out of the host, not that of the cable that packets are sent around on")
    func keepsMTU() async throws {
        try await TestHost.with { host in
            try await run("/usr/sbin/ip", "route", "del", "default", in: host.namespace)
            try await run("/usr/sbin/ip", "route", "add", "default", "via", TestHost.outside4, "metric", "100", in: host.namespace)
            let networks = host.networks(try await host.database(), followsInputPolicy: true)
            try await networks.prepare()
            #expect(try await networks.create(NetworkRequest(name: "back")).mtu == Int(TestHost.mtu))
            try await networks.remove()
        }
    }

    private func isGone(_ host: TestHost) async throws {
        #expect(try await output("/usr/sbin/nft", "list", "tables", in: host.namespace) == "")
        #expect(try await output("/usr/sbin/ip", "rule", in: host.namespace).split(separator: "\n").count == 3)
        #expect(try await !output("/usr/sbin/ip", "-br", "link", in: host.namespace).contains("in0-"))
    }
}
