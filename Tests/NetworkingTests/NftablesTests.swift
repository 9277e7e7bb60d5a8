import Testing

@testable import Linux
@testable import Networking

@Suite struct NftablesTests {
    @Test("an expression is a named list element with its attributes in network order")
    func encodesExpressions() {
        var message = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        NftExpression.compare(.notEqual, [6]).write(to: &message)
        #expect(
            Array(message.bytes[16...]) == [
                44, 0, 1, 0x80,
                8, 0, 1, 0, 0x63, 0x6d, 0x70, 0,
                32, 0, 2, 0x80,
                8, 0, 1, 0, 0, 0, 0, 8,
                8, 0, 2, 0, 0, 0, 0, 1,
                12, 0, 3, 0x80, 5, 0, 1, 0, 6, 0, 0, 0,
            ])
    }

    @Test("keys and values of the port maps are padded to four bytes each part")
    func encodesPorts() throws {
        let endpoint = EndpointInfo(
            containerID: "c", networkName: "n", networkID: "n", endpointID: "e", ipv4: "172.30.0.2", ipv6: "fd00::2",
            ports: [
                PublishedPort(hostAddress: "192.0.2.1", hostPort: 8080, containerPort: 80),
                PublishedPort(hostAddress: "::", hostPort: 53, containerPort: 53, proto: .udp),
            ])
        let firewall = Firewall(table: "t", networks: [])
        let elements = try firewall.elements(of: firewall.bindings(of: endpoint))
        #expect(Set(elements.keys) == [.published4, .any6])
        #expect(elements[.published4]?.map(\.key) == [[192, 0, 2, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0]])
        #expect(elements[.published4]?.first?.value == .data([172, 30, 0, 2, 0, 80, 0, 0]))
        #expect(elements[.any6]?.map(\.key) == [[17, 0, 0, 0, 0, 53, 0, 0]])
    }

    @Test("a range of ports that keep their numbers is one element; ports that change theirs are one each")
    func joinsRanges() throws {
        let ranges = (UInt16(8000)...8999).map { PublishedPort(hostAddress: "0.0.0.0", hostPort: $0, containerPort: $0) }
        let moved = (UInt16(9100)...9102).map { PublishedPort(hostAddress: "0.0.0.0", hostPort: $0, containerPort: $0 - 100) }
        let endpoint = EndpointInfo(
            containerID: "c", networkName: "n", networkID: "n", endpointID: "e", ipv4: "172.30.0.2", ports: moved + ranges)
        let firewall = Firewall(table: "t", networks: [])
        let elements = try firewall.elements(of: firewall.bindings(of: endpoint))
        #expect(elements[.any4]?.count == 3)
        let range = try #require(elements[.anyrange4])
        #expect(range.map(\.key) == [[6, 0, 0, 0, 0x1f, 0x40, 0, 0]])
        #expect(range.first?.lastKey == [6, 0, 0, 0, 0x23, 0x27, 0, 0])
        #expect(range.first?.value == .data([172, 30, 0, 2]))
    }

    @Test("thousands of ports are spread over several messages of one transaction")
    func splitsElements() {
        var transaction = NftTransaction(table: "t")
        transaction.addElements((0..<1000).map { NftElement(key: [UInt8($0 >> 8), UInt8($0 & 255)]) }, to: "s")
        #expect(transaction.messages.count == 5)
        #expect(transaction.messages.allSatisfy { $0.isValid && $0.bytes.count < 65_536 })
    }

    @Test("an element of the kernel's list is read back as it was written")
    func readsElements() throws {
        let element = NftElement(key: [1, 2, 3, 4], value: .data([5, 6, 7, 8]))
        var message = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        element.write(to: &message)
        #expect(try NftElement(message.bytes[20...]) == element)
        let jump = NftElement(key: [1, 2, 3, 4], value: .jump("chain"))
        var other = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        jump.write(to: &other)
        #expect(try NftElement(other.bytes[20...]) == jump)
    }
}
