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

    private func run(_ host: UInt16, _ inside: UInt16, count: Int) -> PublishedPort {
        var port = PublishedPort(hostPort: host, containerPort: inside)
        port.count = count
        return port
    }

    @Test("ranges that overlap or meet become one")
    func joins() {
        #expect(
            Firewall.joined([80...80, 8000...8010, 80...80, 8005...8020, 81...90, 65535...65535, 8003...8004]) == [
                80...90, 8000...8020, 65535...65535,
            ])
        #expect(Firewall.joined([0...65535, 1...2]) == [0...65535] && Firewall.joined([]).isEmpty)
    }

    @Test("runs of ports conflict in any of their ports, and a part of them can go")
    func runs() throws {
        let address = try #require(IPAddress("0.0.0.0"))
        func binding(_ ports: ClosedRange<UInt16>) -> HostBinding {
            HostBinding(address: address, port: ports.lowerBound, last: ports.upperBound, proto: .tcp)
        }
        let all = binding(100...199)
        #expect(all.conflicts(with: binding(150...150)) && binding(199...300).conflicts(with: all))
        #expect(!all.conflicts(with: binding(200...300)) && !all.conflicts(with: binding(1...99)))
        #expect(all.without([binding(120...129), binding(150...150)]) == [binding(100...119), binding(130...149), binding(151...199)])
        #expect(all.without([all]).isEmpty && all.without([binding(1...65535)]).isEmpty)
        #expect(all.without([binding(1...99)]) == [all])
    }

    @Test("ports one by one and runs of them say the same")
    func folding() throws {
        let ports = [run(20000, 30000, count: 100), PublishedPort(hostPort: 0, containerPort: 9), run(65535, 1, count: 1)]
        #expect(ports.unfolded.count == 102)
        #expect(ports.unfolded[99] == PublishedPort(hostPort: 20099, containerPort: 30099))
        #expect(Set(ports.unfolded.shuffled().folded) == Set(ports))
        #expect([run(0, 30000, count: 3)].unfolded == (30000...30002).map { PublishedPort(containerPort: $0) })
        let few = [run(20000, 30000, count: 3)].unfolded
        #expect(few.folded == few)
    }

    @Test("ports that keep their numbers are one element of the firewall, others one each")
    func elements() throws {
        func elements(_ ports: [PublishedPort]) throws -> [PortMap: [NftElement]] {
            let firewall = Firewall(table: "t", networks: [])
            let endpoint = EndpointInfo(
                containerID: "c", networkName: "n", networkID: "i", endpointID: "e", ipv4: "172.30.0.2", ports: ports)
            return try firewall.elements(of: firewall.bindings(of: endpoint))
        }
        let one = try elements([run(20000, 20000, count: 10_000)])
        #expect(one.values.map(\.count) == [1])
        #expect(try elements([run(20000, 20000, count: 5_000), run(25000, 25000, count: 5_000)]) == one)
        let moved = try elements([run(20000, 30000, count: 20)])
        #expect(moved.keys.map(\.self) == [.any4] && moved[.any4]?.count == 20)
        #expect(moved[.any4]?.last?.value == .data([172, 30, 0, 2, 0x75, 0x43, 0, 0]))
    }

    @Test("what listens on the host keeps a run from being published at its address, and at all")
    func openPorts() throws {
        func takes(_ own: String, _ other: String, both: Bool = false) throws -> Bool {
            OpenPort(address: try #require(IPAddress(own)), port: 1, isOfBothFamilies: both).takes(try #require(IPAddress(other)))
        }
        #expect(try takes("0.0.0.0", "192.0.2.1") && takes("127.0.0.1", "0.0.0.0") && takes("192.0.2.1", "192.0.2.1"))
        #expect(try !takes("127.0.0.1", "192.0.2.1") && !takes("0.0.0.0", "::") && !takes("::", "0.0.0.0"))
        #expect(try takes("::", "0.0.0.0", both: true) && takes("::", "192.0.2.1", both: true))
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
            ports: [PublishedPort(hostAddress: "2001:db8::1", hostPort: 65535, containerPort: 1, proto: .udp), run(1, 2, count: 65534)],
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
