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
            ("com.docker.network.container_iface_prefix", "../x"), ("com.docker.network.bridge.gateway_mode_ipv4", "any"),
        ])
    func refusesOptions(key: String, value: String) {
        #expect(throws: NetworkError.self) { try DriverOptions([key: value], driver: .bridge) }
    }

    @Test("options of an endpoint are understood, and what is odd is refused")
    func endpointOptions() throws {
        let options = try EndpointOptions([
            "com.docker.network.endpoint.ifname": "lan0",
            "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.ifname.accept_ra=2",
        ])
        #expect(options.interfaceName == "lan0")
        #expect(options.settings.map { "\($0.path(of: "lan0"))=\($0.value)" } == ["ipv4/conf/lan0/log_martians=1", "ipv6/conf/lan0/accept_ra=2"])
        for name in ["", "a/b", "lo", "..", "0123456789abcdef"] {
            #expect(throws: NetworkError.self) { try EndpointOptions(["com.docker.network.endpoint.ifname": name]) }
        }
        for text in [
            "", "net.ipv4.conf.eth0.x=1", "net.core.conf.IFNAME.x=1", "net.ipv4.conf.IFNAME.x", "net.ipv4.../x.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.x.y=1", "net.ipv4.conf.IFNAME.x=", "net.ipv4.conf.IFNAME.x=1=2", "net.ipv4.conf.IFNAME.x=1\n2",
            "net.ipv4.conf.IFNAME.x=+1", "net.ipv4.conf.IFNAME.x=\(String(repeating: "1", count: 257))",
        ] {
            #expect(throws: NetworkError.self) { try EndpointOptions(["com.docker.network.endpoint.sysctls": text]) }
        }
        #expect(throws: NetworkError.self) { try EndpointOptions(["com.example": "1"]) }
        func turnsIPv6Off(_ text: String) throws -> Bool { try EndpointOptions(["com.docker.network.endpoint.sysctls": text]).turnsIPv6Off }
        #expect(try turnsIPv6Off("net.ipv6.conf.IFNAME.disable_ipv6=1") && !turnsIPv6Off("net.ipv6.conf.IFNAME.disable_ipv6=0"))
        #expect(LinkLocalAddress.isValid("169.254.7.7") && LinkLocalAddress.isValid("fe80::7"))
        #expect(!LinkLocalAddress.isValid("10.0.0.1") && !LinkLocalAddress.isValid("x"))
    }

    @Test("a configuration says what a network is, and nothing of who uses it")
    func configurations() throws {
        var request = NetworkRequest(name: "plan")
        (request.labels, request.options, request.wantsIPv6) = (["a": "b"], ["com.docker.network.driver.mtu": "1400"], true)
        request.subnets = [NetworkInfo.Subnet("10.5.0.0/16", gateway: "10.5.0.9", reserved: ["router": "10.5.0.10"])]
        let plan = try NetworkConfiguration(request)
        let read = try #require(try NetworkConfiguration(id: plan.id, name: "plan", created: plan.created, json: plan.json))
        #expect(read.info == plan.info && plan.info.isConfiguration)
        #expect(try NetworkConfiguration(id: "x", name: "y", created: "", json: Array("{}".utf8)) == nil)
        let applied = try plan.applied(to: NetworkRequest(name: "lan"))
        #expect(applied.subnets == request.subnets && applied.options == request.options && applied.wantsIPv6 == true)
        var own = NetworkRequest(name: "lan")
        own.options = ["mtu": "1400"]
        #expect(throws: NetworkError.self) { try plan.applied(to: own) }
        var lesser = NetworkRequest(name: "lan")
        lesser.wantsIPv4 = false
        #expect(throws: NetworkError.self) { try plan.applied(to: lesser) }
        request.isInternal = true
        #expect(throws: NetworkError.self) { try NetworkConfiguration(request) }
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
