import Testing

@testable import Linux
@testable import Networking

@Suite struct UplinkTests {
    private static let kinds: KeyValuePairs = [
        "lo": "", "eth0": "", "skiff0": "bridge", "vpn0": "tun", "vsk1": "veth", "br0": "bridge", "docker0": "bridge", "ppp0": "ppp",
        "in1-skiff": "veth", "bond0": "bond",
    ]

    private func links() -> [Link] {
        Self.kinds.enumerated().map { number, device in
            Link(
                index: UInt32(number + 1), name: device.key, isUp: true, master: 0, mtu: 1500, kind: device.value, hardwareAddress: [],
                counters: LinkCounters())
        }
    }

    /// Somebody on docker0 passes things on, the host's default routes lead by ours, and `skiff0` has one.
    private var uplinks: Uplinks {
        let ways = WaysOn(everywhere: [3, 6, 8, 9], throughSomebody: [2, 3, 4, 6, 7])
        return Uplinks(links(), ways: ways, own: ["skiff0"])
    }

    @Test("real devices lead out, bridges with a default route, and others with that or a route through somebody; ours never do")
    func leadOut() {
        #expect(uplinks.names == ["br0", "eth0", "ppp0", "vpn0"])
        #expect(Uplinks(links(), ways: WaysOn(), own: []).names == ["eth0"])
    }

    @Test("only what moves the ways out is news")
    func tellsNewsFromNoise() {
        func seen(_ link: UInt32, isDefault: Bool = false, replaces: Bool = false) -> NetlinkListener.Change {
            .routeSeen(link: link, isDefault: isDefault, replaces: replaces)
        }
        let news: [NetlinkListener.Change] = [
            .linkSeen(11, name: "eth1", kind: ""), .linkSeen(2, name: "wan0", kind: ""), .linkSeen(4, name: "vpn0", kind: "tun"),
            .linkRemoved("eth0"), .linkRemoved("vpn0"), seen(10), seen(11), seen(7, isDefault: true), seen(2, isDefault: true, replaces: true),
            .routeGone(link: 4, isDefault: false), .routeGone(link: 6, isDefault: true),
        ]
        for change in news { #expect(uplinks.mayMove(change), "\(change)") }
        let noise: [NetlinkListener.Change] = [
            .linkSeen(2, name: "eth0", kind: ""), .linkSeen(1, name: "lo", kind: ""), .linkSeen(7, name: "docker0", kind: "bridge"),
            .linkRemoved("vsk1"), seen(2), seen(4), seen(4, replaces: true), seen(7), seen(3, isDefault: true), seen(9, isDefault: true),
            .routeGone(link: 2, isDefault: true), .routeGone(link: 7, isDefault: false), .tableDamaged("skiff", port: 1), .overrun(.nftables),
        ]
        for change in noise { #expect(!uplinks.mayMove(change), "\(change)") }
        #expect(Uplinks().mayMove(seen(2)))
    }

    @Test("while changes go on the pause between two looks grows, and when they stop it shrinks")
    func pauses() {
        var pause = ChangePause()
        pause.end(hearingMore: false)
        #expect(pause.length == .milliseconds(200))
        for expected in [400, 800, 1600, 3200, 5000, 5000] {
            pause.end(hearingMore: true)
            #expect(pause.length == .milliseconds(expected))
        }
        pause.rest(.milliseconds(4900))
        #expect(pause.length == .seconds(5))
        pause.end(hearingMore: false)
        #expect(pause.length == .milliseconds(2500))
        pause.rest(.milliseconds(3800))
        #expect(pause.length == .milliseconds(625))
        pause.rest(.seconds(1))
        #expect(pause.length == .milliseconds(200))
    }
}
