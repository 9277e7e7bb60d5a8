import Testing

@testable import Linux
@testable import Networking

@Suite struct UplinkTests {
    private func link(_ index: UInt32, _ name: String, _ kind: String) -> Link {
        Link(index: index, name: name, isUp: true, master: 0, mtu: 1500, kind: kind, hardwareAddress: [], counters: LinkCounters())
    }

    @Test("real devices and those with a route through somebody lead out of the host; only what moves them is news")
    func tellsNewsFromNoise() {
        let uplinks = Uplinks(
            [link(1, "lo", ""), link(2, "eth0", ""), link(3, "skiff0", "bridge"), link(4, "vpn0", "tun"), link(5, "vsk1", "veth")],
            leading: [2, 4])
        #expect(uplinks.names == ["eth0", "vpn0"])
        let news: [NetlinkListener.Change] = [
            .linkSeen(6, name: "eth1", kind: ""), .linkSeen(2, name: "wan0", kind: ""), .linkSeen(4, name: "vpn0", kind: "tun"),
            .linkRemoved("eth0"), .linkRemoved("vpn0"), .gatewaySeen(link: 3), .gatewayGone(link: 4),
        ]
        for change in news { #expect(uplinks.mayMove(change), "\(change)") }
        let noise: [NetlinkListener.Change] = [
            .linkSeen(2, name: "eth0", kind: ""), .linkSeen(1, name: "lo", kind: ""), .linkSeen(7, name: "vsk2", kind: "veth"),
            .linkRemoved("vsk1"), .gatewaySeen(link: 2), .gatewaySeen(link: 4), .gatewayGone(link: 2), .tableDamaged("skiff", port: 1),
            .overrun(.nftables),
        ]
        for change in noise { #expect(!uplinks.mayMove(change), "\(change)") }
        #expect(Uplinks().mayMove(.gatewaySeen(link: 2)))
    }
}
