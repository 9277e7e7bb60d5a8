import Testing

@testable import Linux
@testable import Networking

@Suite struct DriverOptionTests {
    @Test("what a driver knows is understood")
    func readsOptions() throws {
        let bridge = try DriverOptions(
            [
                "com.docker.network.bridge.name": "br9", "com.docker.network.bridge.enable_icc": "false",
                "com.docker.network.bridge.enable_ip_masquerade": "0", "com.docker.network.driver.mtu": "1400",
                "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1", "com.docker.network.container_iface_prefix": "net",
            ], driver: .bridge)
        #expect(bridge.device == "br9" && !bridge.connectsContainers && !bridge.masquerades && bridge.mtu == 1400)
        #expect(bridge.publishAddress == "127.0.0.1" && bridge.interfacePrefix == "net" && bridge.child == nil)
        let macvlan = try DriverOptions(["parent": "eth0", "macvlan_mode": "private"], driver: .macvlan)
        #expect(macvlan.child == .macvlan(.private) && macvlan.device == "eth0" && !macvlan.isRouted)
        let ipvlan = try DriverOptions(["parent": "eth0", "ipvlan_mode": "l3"], driver: .ipvlan)
        #expect(ipvlan.child == .ipvlan(.l3, .bridge) && ipvlan.isRouted && ipvlan.sharesHardwareAddress)
    }

    @Test(
        "what it does not know, or cannot be, is refused",
        arguments: [
            ("parent", "eth0"), ("com.docker.network.bridge.enable_icc", "perhaps"), ("com.docker.network.driver.mtu", "12"),
            ("com.docker.network.driver.mtu", "99999"), ("com.docker.network.bridge.host_binding_ipv4", "here"),
            ("com.docker.network.container_iface_prefix", "../x"), ("com.docker.network.bridge.gateway_mode_ipv4", "routed"),
        ])
    func refusesOptions(key: String, value: String) {
        #expect(throws: NetworkError.self) { try DriverOptions([key: value], driver: .bridge) }
    }

    @Test("a network's definition is read back from what the database keeps, that of an earlier version too")
    func storesDefinitions() throws {
        let subnet = try #require(IPPrefix("10.5.0.0/16"))
        var network = NetworkDefinition(
            id: "n", name: "back", created: "2026-01-01T00:00:00Z", device: "br-n",
            ipv4: Subnet(subnet, range: IPPrefix("10.5.1.0/24"), gateway: IPAddress("10.5.0.9"), reserved: ["a": IPAddress(v4: 0x0a05_000a)]),
            storedIPv6: nil)
        network.isInternal = true
        network.labels = ["tier": "back"]
        network.options = ["com.docker.network.driver.mtu": "1400"]
        let read = try #require(try NetworkDefinition(id: "n", name: "back", created: network.created, json: network.json))
        #expect(read.ipv4 == network.ipv4 && read.storedIPv6 == nil && read.isInternal && read.labels == network.labels)
        #expect(read.settings.mtu == 1400 && read.driver == .bridge && read.device == "br-n")
        let old = #"{"bridge": "skiff0", "ipv4": "172.30.0.0/16", "ipv6": "fd00::/64"}"#
        let standard = try #require(try NetworkDefinition(id: "b", name: "bridge", created: "", json: Array(old.utf8)))
        #expect(standard.ipv4?.gateway.description == "172.30.0.1" && standard.storedIPv6?.gateway.description == "fd00::1")
        let empty = try NetworkDefinition(id: "b", name: "bridge", created: "", json: Array("{}".utf8))
        #expect(empty?.id == nil)
    }
}
