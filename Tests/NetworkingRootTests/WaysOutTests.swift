import Glibc
import Linux
import Testing

@testable import Networking

/// Which devices lead out of the host, by the kernel's own account of its routes.
@Suite(.enabled(if: getuid() == 0))
struct WaysOutTests {
    private static let devices = """
        link add br0 up type bridge
        link add br1 up type bridge
        link add own0 up type bridge
        link add plain0 up type veth peer xplain0
        link add alone0 up type veth peer xalone0
        link add many0 up type veth peer xmany0
        link add many1 up type veth peer xmany1
        link add many2 up type veth peer xmany2
        link add many3 up type veth peer xmany3
        link add mixed0 up type veth peer xmixed0
        link set xplain0 up
        link set xalone0 up
        link set xmany0 up
        link set xmany1 up
        link set xmany2 up
        link set xmany3 up
        link set xmixed0 up
        address add 10.0.1.1/24 dev br0
        address add 10.0.2.1/24 dev br1
        address add 10.0.4.1/24 dev many0
        address add 10.0.5.1/24 dev many1
        address add fd00:6::1/64 dev many2 nodad
        address add fd00:7::1/64 dev many3 nodad
        address add fd00:8::1/64 dev mixed0 nodad
        """
    /// A bridge without a default route; one of ours that has one; ways without a gateway, several ways, a gateway of the other family.
    private static let routes = """
        route add default via 10.0.1.2 dev br0
        route add 10.9.0.0/16 via 10.0.2.2 dev br1
        route add default dev own0 table 88
        route add default dev alone0 table 77
        route add 10.8.0.0/16 nexthop via 10.0.4.2 dev many0 nexthop via 10.0.5.2 dev many1
        route add fd08::/16 nexthop via fd00:6::2 dev many2 nexthop via fd00:7::2 dev many3
        route add 10.7.0.0/16 via inet6 fd00:8::2 dev mixed0
        """

    private func batch(_ lines: String, in namespace: SharedFD) async throws {
        try await run("/bin/sh", "-c", "printf '%s\n' \"$1\" | /usr/sbin/ip -batch -", "sh", lines, in: namespace)
    }

    @Test("bridges lead out by default routes, others by any route through somebody too, by however many ways; what moves that is heard")
    func leadOut() async throws {
        let namespace = try await makeNamespace()
        try await batch(Self.devices + "\n" + Self.routes, in: namespace)
        let (uplinks, listener, links) = try await within(namespace) { () throws -> (Uplinks, NetlinkListener, [String: UInt32]) in
            var socket = try RouteSocket()
            let links = Dictionary(uniqueKeysWithValues: try socket.links().map { ($0.name, $0.index) })
            return (try Uplinks.read(own: ["own0"]), try NetlinkListener(.routes), links)
        }
        #expect(uplinks.names == ["alone0", "br0", "many0", "many1", "many2", "many3", "mixed0"])
        func heard(_ line: String) async throws -> Set<NetlinkListener.Change> {
            try await batch(line, in: namespace)
            return try listener.changes()
        }
        let (plain, one, other) = (try #require(links["plain0"]), try #require(links["many0"]), try #require(links["many1"]))
        let seen = try await heard("route add default dev plain0 metric 9")
        #expect(seen == [.routeSeen(link: plain, isDefault: true, replaces: false)] && seen.allSatisfy(uplinks.mayMove))
        let gone = try await heard("route del 10.8.0.0/16")
        #expect(gone == [.routeGone(link: one, isDefault: false), .routeGone(link: other, isDefault: false)])
        #expect(gone.allSatisfy(uplinks.mayMove))
        // In the place of another one, which is said of the new one alone.
        let replaced = try await heard("route replace default via 10.0.1.3 dev br0 table 77")
        #expect(!replaced.isEmpty && replaced.allSatisfy(uplinks.mayMove))
        let noise = try await heard("route add 10.6.0.0/16 via 10.0.2.3 dev br1")
        #expect(!noise.isEmpty && !noise.contains(where: uplinks.mayMove))
        #expect(try await heard("route add 10.5.0.0/16 dev plain0").isEmpty)
    }

    @Test("a storm of changes is read a part at a time, each change once")
    func storms() async throws {
        let namespace = try await makeNamespace()
        try await batch(Self.devices, in: namespace)
        let listener = try await within(namespace) { try NetlinkListener(.routes) }
        let lines = (0..<130).map { "route add 10.99.\($0).0/24 via 10.0.2.2 dev br1" }
        try await batch(lines.joined(separator: "\n"), in: namespace)
        var parts: [Set<NetlinkListener.Change>] = []
        repeat { parts.append(try listener.changes()) } while parts.last?.isEmpty == false
        #expect(parts.map(\.count) == [1, 1, 1, 0])
    }

    @Test("nobody waits for the routes to be read, and what changes meanwhile is news")
    func readsAside() async throws {
        try await within(try await makeNamespace()) {
            let table = FirewallTable(table: "skt")
            let change = NetlinkListener.Change.routeGone(link: 99, isDefault: true)
            try table.passForward { own in
                let uplinks = try Uplinks.read(own: own)
                #expect(table.mayMoveUplinks(change))
                #expect(!table.mayMoveUplinks(.linkSeen(98, name: "vsk0", kind: "veth")) && !table.mayMoveUplinks(.linkRemoved("vsk0")))
                return uplinks
            }
            #expect(!table.mayMoveUplinks(change))
        }
    }
}
