import Glibc
import Linux
import Testing

@testable import Networking

/// What a container sends to everybody costs as much as there are containers.
@Suite(.enabled(if: getuid() == 0))
struct NeighbourReportTests {
    @Test("a container that comes is no news for the others, and reports about groups of its own pass")
    func comesQuietly() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let first = try await TestContainer.connect("first", networks)
                try await count(in: first, except: networks)
                let second = try await TestContainer.connect("second", networks)
                // Each of them reports four times within a second or two.
                #expect(try await isSoon { try await dropped(host) >= 6 })
                #expect(try await frames(to: first) == 0)

                try await run("/usr/bin/python3", "-c", Self.join, in: second.namespace)
                #expect(try await isSoon { try await frames(to: first) > 0 })

                let server = try await WhoAmIServer.start(80, .tcp, in: first.namespace)
                #expect(try await ask(first.address(.v6), 80, from: second.namespace) == second.address(.v6))
                try await server.finish()
            }
        }
    }

    @Test("bridges of containers alone flood groups whoever asks for members; one of somebody else stays as it is")
    func knowsItsBridges() async throws {
        try await TestHost.with { host in
            try await run("/usr/sbin/ip", "link", "add", "brx", "type", "bridge", in: host.namespace)
            try await host.withNetworks { networks in
                var request = NetworkRequest(name: "theirs")
                request.options = ["com.docker.network.bridge.name": "brx"]
                _ = try await networks.create(request)
                let snooping = try await output("/usr/sbin/ip", "-d", "link", "show", "type", "bridge", in: host.namespace)
                    .split(separator: "\n").filter { $0.contains("mcast_snooping") }.map { $0.contains("mcast_snooping 1") }
                #expect(snooping.sorted { !$0 && $1 } == [false, true])
                for (number, network) in ["bridge", "theirs"].enumerated() {
                    let container = try await TestContainer.connect("c\(number)", networks, network: network)
                    let cable = try await output("/usr/sbin/ip", "-d", "link", "show", container.endpoint.hostInterface, in: host.namespace)
                    #expect(cable.contains("group 29547") == (network == "bridge"))
                    let asks = try await output("/bin/cat", "/proc/sys/net/ipv6/conf/eth0/accept_dad", in: container.namespace)
                    #expect(asks == (network == "bridge" ? "0\n" : "1\n"))
                }
            }
        }
    }

    private static let join = """
        import socket
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        group = socket.inet_pton(socket.AF_INET6, "ff05::1:3")
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + socket.if_nametoindex("eth0").to_bytes(4, "little"))
        """

    private func isSoon(_ condition: () async throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end { if try await condition() { return true } }
        return false
    }

    /// From now on packets to groups of IPv6 are counted in the container, but for those of the host.
    private func count(in container: TestContainer, except networks: Networks) async throws {
        let network = try #require(await networks.networks.values.first)
        let gateway = await network.definition.hardwareAddress
        let rule = "ether saddr != \(HardwareAddress.text(gateway)) ip6 daddr ff00::/8 counter"
        for command in [
            "add table netdev t", "add chain netdev t c { type filter hook ingress device eth0 priority 0; }", "add rule netdev t c \(rule)",
        ] {
            try await run("/usr/sbin/nft", command, in: container.namespace)
        }
    }

    private func frames(to container: TestContainer) async throws -> Int {
        try await packets(of: "netdev", "t", in: container.namespace)
    }

    /// How many reports were dropped.
    private func dropped(_ host: TestHost) async throws -> Int {
        try await packets(of: "bridge", "skt", in: host.namespace)
    }

    /// The sum of all counters of a table.
    private func packets(of family: String, _ table: String, in namespace: SharedFD) async throws -> Int {
        let words = try await output("/usr/sbin/nft", "list", "table", family, table, in: namespace).split { $0.isWhitespace }
        return words.indices.filter { words[$0] == "packets" }.compactMap { Int(words[$0 + 1]) }.reduce(0, +)
    }
}
