import Linux
import Testing

@testable import Networking

@Suite struct PortTests {
    private func binding(_ address: String, _ port: UInt16 = 80, _ proto: TransportProtocol = .tcp) throws
        -> HostBinding
    {
        HostBinding(address: try #require(IPAddress(address)), port: port, proto: proto)
    }

    @Test("bindings conflict when they would get the same packets")
    func conflicts() throws {
        let all = try binding("0.0.0.0")
        #expect(all.conflicts(with: try binding("192.0.2.1")))
        #expect(try binding("192.0.2.1").conflicts(with: all))
        #expect(!all.conflicts(with: try binding("::")))
        #expect(!all.conflicts(with: try binding("0.0.0.0", 81)))
        #expect(!all.conflicts(with: try binding("0.0.0.0", 80, .udp)))
        #expect(!(try binding("192.0.2.1").conflicts(with: try binding("192.0.2.2"))))
    }

    @Test("a port without an address is published at all addresses of both families")
    func expandsAddresses() throws {
        let port = PublishedPort(hostPort: 8080, containerPort: 80)
        #expect(try HostBinding.all(of: port, withIPv6: true).map(\.address.description) == ["0.0.0.0", "::"])
        #expect(try HostBinding.all(of: port, withIPv6: false).map(\.address.description) == ["0.0.0.0"])
        var odd = port
        odd.hostAddress = "localhost"
        #expect(throws: NetworkError.invalidAddress("localhost")) { try HostBinding.all(of: odd, withIPv6: true) }
    }

    @Test("errors have Docker's words")
    func words() {
        #expect(
            NetworkError.portAllocated(address: "0.0.0.0", port: 8080, holder: "c").description
                == "Bind for 0.0.0.0:8080 failed: port is already allocated")
        #expect(
            NetworkError.portAllocated(address: "::", port: 8080, holder: "c").description
                == "Bind for [::]:8080 failed: port is already allocated")
        #expect(
            NetworkError.cannotBind(address: "0.0.0.0", port: 80, proto: .udp, reason: "address already in use")
                .description
                == "failed to bind host port 0.0.0.0:80/udp: address already in use")
    }

    @Test("an endpoint comes back from the database as it was written")
    func storesEndpoints() throws {
        let endpoint = EndpointInfo(
            containerID: "c", networkName: "bridge", networkID: "n", endpointID: "e", ipv4: "172.30.0.2",
            ipv4PrefixLength: 16, ipv4Gateway: "172.30.0.1", ipv6: "", ipv6PrefixLength: 0, ipv6Gateway: "",
            macAddress: "02:5b:ac:1e:00:02",
            ports: [PublishedPort(hostAddress: "2001:db8::1", hostPort: 65535, containerPort: 1, proto: .udp)],
            hostInterface: "vsk0")
        #expect(try EndpointInfo(containerID: "c", networkID: "n", json: endpoint.json) == endpoint)
        #expect(try EndpointInfo(containerID: "c", networkID: "n", json: Array("{}".utf8)) == nil)
    }

    @Test(
        "names that would lead out of their place are refused",
        arguments: ["", "../../x", "a/b", "a.b", "0123456789abcdef", "ä"])
    func refusesNames(name: String) {
        #expect(throws: NetworkError.self) { try Networks.Configuration(bridgeName: name).validate() }
    }
}
