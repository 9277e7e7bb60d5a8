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
        let binding = HostBinding(address: try #require(IPAddress("192.0.2.1")), port: 8080, proto: .tcp)
        #expect(PortMap(binding) == .published4)
        #expect(PortMap.published4.key(binding) == [192, 0, 2, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0])
        let all = HostBinding(address: try #require(IPAddress("::")), port: 53, proto: .udp)
        #expect(PortMap(all) == .any6)
        #expect(PortMap.any6.key(all) == [17, 0, 0, 0, 0, 53, 0, 0])
        #expect(PortMap.value(try #require(IPAddress("172.30.0.2")), 80) == [172, 30, 0, 2, 0, 80, 0, 0])
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
