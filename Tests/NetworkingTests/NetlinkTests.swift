import SystemPackage
import Testing

@testable import Linux

@Suite struct NetlinkTests {
    @Test("a message is header, family header and aligned attributes")
    func encodes() {
        var message = NetlinkMessage(
            type: 16, flags: [.request, .create], purpose: "test", familyHeader: [1, 2, 3, 4])
        message.put(3, "lo")
        message.put(4, UInt32(1500))
        message.put(5, bigEndian: UInt16(80))
        #expect(
            message.bytes(sequence: 7, adding: .acknowledge) == [
                44, 0, 0, 0, 16, 0, 0x05, 0x04, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
                7, 0, 3, 0, 0x6c, 0x6f, 0, 0,
                8, 0, 4, 0, 0xdc, 0x05, 0, 0,
                6, 0, 5, 0, 0, 80, 0, 0,
            ])
    }

    @Test("a nest has the length of everything in it and the nested flag")
    func nests() {
        var message = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        message.nest(18) { $0.nest(1) { $0.put(2, [UInt8(9)]) } }
        #expect(message.bytes[16...] == [16, 0, 18, 0x80, 12, 0, 1, 0x80, 5, 0, 2, 0, 9, 0, 0, 0])
        #expect(message.bytes[0] == 32)
    }

    @Test("an attribute that is too long makes the message invalid instead of wrong")
    func refusesLongAttributes() {
        var message = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        message.put(1, [UInt8](repeating: 0, count: 65_531))
        #expect(message.isValid)
        message.put(1, [UInt8](repeating: 0, count: 65_532))
        #expect(!message.isValid)
        var nested = NetlinkMessage(type: 0, flags: [], purpose: "test", familyHeader: [])
        nested.nest(1) { nest in
            for _ in 0..<9 { nest.put(1, [UInt8](repeating: 0, count: 8000)) }
        }
        #expect(!nested.isValid)
    }

    @Test("a pair of devices is one message that says everything about both ends")
    func encodesVeth() {
        let pair = VethPair(
            name: "v", master: 5, peerName: "eth0", peerHardwareAddress: [2, 1, 2, 3, 4, 5], peerNamespace: 9, mtu: 1400
        )
        let head: [UInt8] = [136, 0, 0, 0, 16, 0, 0x01, 0x06, 0, 0, 0, 0, 0, 0, 0, 0]
        let link: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
        let own: [UInt8] = [6, 0, 3, 0, 0x76, 0, 0, 0, 8, 0, 4, 0, 0x78, 5, 0, 0, 8, 0, 10, 0, 5, 0, 0, 0]
        let kind: [UInt8] = [80, 0, 18, 0x80, 9, 0, 1, 0, 0x76, 0x65, 0x74, 0x68, 0, 0, 0, 0]
        let peer: [UInt8] = [64, 0, 2, 0x80, 60, 0, 1, 0x80] + [UInt8](repeating: 0, count: 16)
        let name: [UInt8] = [9, 0, 3, 0, 0x65, 0x74, 0x68, 0x30, 0, 0, 0, 0]
        let rest: [UInt8] = [10, 0, 1, 0, 2, 1, 2, 3, 4, 5, 0, 0, 8, 0, 4, 0, 0x78, 5, 0, 0, 8, 0, 28, 0, 9, 0, 0, 0]
        let expected = head + link + own + kind + peer + name + rest
        #expect(NetlinkMessage.createVeth(pair).bytes == expected)
        #expect(expected.count == 136)
    }

    @Test("an IPv6 address is added without duplicate detection, an IPv4 address with its broadcast address")
    func encodesAddresses() throws {
        let six = NetlinkMessage.addAddress(try #require(IPPrefix("fd00::2/64")), to: 3)
        let address: [UInt8] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
        #expect(
            Array(six.bytes[16...]) == [10, 64, 0, 0, 3, 0, 0, 0, 20, 0, 2, 0] + address + [20, 0, 1, 0] + address + [
                8, 0, 8, 0, 2, 0, 0, 0,
            ])
        let four = NetlinkMessage.addAddress(try #require(IPPrefix("172.30.0.2/16")), to: 3)
        #expect(
            Array(four.bytes[16...]) == [
                2, 16, 0, 0, 3, 0, 0, 0, 8, 0, 2, 0, 172, 30, 0, 2, 8, 0, 1, 0, 172, 30, 0, 2, 8, 0, 4, 0, 172, 30, 255,
                255,
            ])
    }

    @Test("replies are taken apart by their lengths")
    func parses() throws {
        let bytes: [UInt8] = [
            21, 0, 0, 0, 16, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0,
            16, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0,
        ]
        let replies = try NetlinkReply.parse(bytes)
        #expect(replies.map(\.type) == [16, 3])
        #expect(replies.map(\.sequence) == [7, 8])
        #expect(replies.map(\.payload) == [[1, 2, 3, 4, 5], []])
    }

    @Test(
        "lengths that do not fit are refused",
        arguments: [
            [UInt8](repeating: 0, count: 15), [15, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
            [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12), [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12),
        ] as [[UInt8]])
    func refusesReplies(bytes: [UInt8]) {
        #expect(throws: SystemError.self) { try NetlinkReply.parse(bytes) }
    }

    @Test(
        "attributes that do not fit are refused",
        arguments: [[3, 0, 1, 0], [9, 0, 1, 0, 0, 0, 0, 0], [4, 0, 1, 0, 1], [0, 0, 0, 0]] as [[UInt8]])
    func refusesAttributes(bytes: [UInt8]) {
        #expect(throws: SystemError.self) { try NetlinkAttributes(bytes[...]) }
    }

    @Test("the kernel's explanation of an error becomes part of ours")
    func explainsErrors() throws {
        let request: [UInt8] = [32, 0, 0, 0] + [UInt8](repeating: 0, count: 12)
        let text: [UInt8] = [8, 0, 1, 0, 0x62, 0x61, 0x64, 0]
        let capped = NetlinkReply(
            type: 2, flags: [.capped, .extendedError], sequence: 1, payload: [0xea, 0xff, 0xff, 0xff] + request + text)
        let error = try #require(try capped.failure(purpose: "create link x"))
        #expect(error.errno == .invalidArgument)
        #expect(error.description == "netlink create link x (bad): Invalid argument")
        let acknowledgement = NetlinkReply(type: 2, flags: [], sequence: 1, payload: [0, 0, 0, 0] + request)
        #expect(try acknowledgement.failure(purpose: "x") == nil)
    }

    @Test("a tracked connection is read from the tuple of its first packet")
    func readsConnections() throws {
        var message = NetlinkMessage.connections(.get, .v4, "test")
        message.nest(1) { original in
            original.nest(1) { addresses in
                addresses.put(1, [UInt8]([192, 0, 2, 1]))
                addresses.put(2, [UInt8]([192, 0, 2, 2]))
            }
            original.nest(2) { protocols in
                protocols.put(1, UInt8(17))
                protocols.put(2, bigEndian: UInt16(40000))
                protocols.put(3, bigEndian: UInt16(53))
            }
        }
        let reply = NetlinkReply(type: 0x100, flags: [], sequence: 1, payload: Array(message.bytes[16...]))
        let connection = try #require(try TrackedConnection(reply))
        #expect(connection.transport == 17)
        #expect(connection.source.description == "192.0.2.1" && connection.destination.description == "192.0.2.2")
        #expect(connection.port == 53 && connection.answerer == nil)
        message.nest(2) { answer in
            answer.nest(1) { addresses in
                addresses.put(1, [UInt8]([10, 0, 0, 2]))
                addresses.put(2, [UInt8]([192, 0, 2, 1]))
            }
        }
        let answered = NetlinkReply(type: 0x100, flags: [], sequence: 1, payload: Array(message.bytes[16...]))
        #expect(try TrackedConnection(answered)?.answerer?.description == "10.0.0.2")
        let empty = NetlinkReply(type: 0x100, flags: [], sequence: 1, payload: [2, 0, 0, 0])
        #expect(try TrackedConnection(empty) == nil)
    }

    @Test("a route by several ways is as many routes, and a list of ways that does not fit is refused")
    func readsWays() throws {
        func reply(_ ways: [UInt8], flags: NetlinkFlags = []) -> NetlinkReply {
            let header: [UInt8] = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]
            return NetlinkReply(type: 24, flags: flags, sequence: 1, payload: header + [UInt8(4 + ways.count), 0, 9, 0] + ways)
        }
        let ways: [UInt8] = [16, 0, 0, 0, 3, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1, 8, 0, 0, 0, 4, 0, 0, 0]
        let routes = try Route.all(reply(ways), .v4)
        #expect(routes.map(\.link) == [3, 4] && routes.map(\.gateway?.description) == ["192.0.2.1", nil] && routes.allSatisfy(\.isDefault))
        #expect(
            try NetlinkListener.routeChanges(reply(ways, flags: .replace)) == [
                .routeSeen(link: 3, isDefault: true, replaces: true), .routeSeen(link: 4, isDefault: true, replaces: true),
            ])
        for length: UInt8 in [0, 7, 17] {
            #expect(throws: SystemError.self) { try Route.all(reply([length] + ways[1..<16]), .v4) }
        }
    }

    @Test("a limit of rate is a token bucket with rate, queue and bucket in bytes")
    func encodesRates() {
        let limit = RateLimit(bytesPerSecond: 1_000_000, mtu: 1436)
        #expect(limit.burst == 12_000 && limit.queue == 112_000)
        #expect(
            Array(NetlinkMessage.tokenBucket(7, limit).bytes[16...]) == [
                0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 1, 0, 255, 255, 255, 255, 0, 0, 0, 0,
                8, 0, 1, 0, 0x74, 0x62, 0x66, 0, 52, 0, 2, 0x80,
                40, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xb5, 1, 0, 0, 0, 0, 0, 0, 0, 0,
                0,
                8, 0, 6, 0, 0xe0, 0x2e, 0, 0,
            ])
        // More than a number of 32 bits holds stands in an attribute of its own.
        let fast = NetlinkMessage.tokenBucket(7, RateLimit(bytesPerSecond: 5_000_000_000, mtu: 1500))
        #expect(Array(fast.bytes[88..<100]) == [12, 0, 4, 0, 0, 0xf2, 5, 0x2a, 1, 0, 0, 0])
    }

    @Test("parsing never traps, whatever comes")
    func survivesNoise() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...80)).map { _ in UInt8.random(in: 0...40, using: &generator) }
            guard let replies = try? NetlinkReply.parse(bytes) else { continue }  // Refused, as it should be.
            for reply in replies {
                // Only that none of these traps matters.
                _ = try? reply.failure(purpose: "x")
                _ = try? Link(reply)
                _ = try? LinkAddress(reply)
                _ = try? Route.all(reply, .v4)
                _ = try? NetlinkListener.routeChanges(reply)
                _ = try? NftElement(reply.payload[...])
                _ = try? TrackedConnection(reply)
                _ = try? NftRule(reply)
                _ = try? NftBaseChain(reply)
            }
        }
    }
}
