import Linux
import Testing

@testable import Networking

@Suite struct DNSTests {
    /// A question for `name`, with EDNS when a size is given.
    private func question(_ name: String, type: UInt16 = DNSType.a, size: UInt16? = nil, id: UInt16 = 0x1234) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 255), 1, 0, 0, 1, 0, 0, 0, 0, 0, size == nil ? 0 : 1]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        if let size { bytes += [0, 0, 41, UInt8(size >> 8), UInt8(size & 255), 0, 0, 0x80, 0, 0, 0] }
        return bytes
    }

    @Test("a question is read with its name in small letters, and answered as it was written")
    func readsQuestions() throws {
        let query = try DNSQuery(question("Web.Back", size: 1232))
        #expect(query.name == DNSName("web.back") && query.type == DNSType.a && query.recordClass == 1)
        #expect(query.datagramSize == 1232 && query.wantsSignatures && query.largestAnswer == 1232)
        let address = try #require(IPAddress("172.30.0.2"))
        let answer = DNSAnswer.answer(query, [.address(address)])
        #expect(
            answer == [
                0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 1,
                3, 0x57, 0x65, 0x62, 4, 0x42, 0x61, 0x63, 0x6b, 0, 0, 1, 0, 1,
                0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 172, 30, 0, 2,
                0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0,
            ])
        let plain = try DNSQuery(question("a"))
        #expect(plain.largestAnswer == 512)
    }

    @Test("every truncation of a question is refused")
    func refusesTruncations() throws {
        let whole = question("web.back.example", size: 4096)
        for length in 0..<whole.count {
            #expect(throws: DNSFormatError.self) { try DNSQuery(Array(whole[..<length])) }
        }
        #expect(throws: DNSFormatError.self) { try DNSQuery(whole + [0]) }
    }

    @Test("what is no question, or no question of the kind, is refused with what the asker may hear of it")
    func refusesNonsense() throws {
        var answer = question("a")
        answer[2] |= 0x80
        #expect(throws: DNSFormatError()) { try DNSQuery(answer) }
        var update = question("a")
        update[2] = 5 << 3
        #expect(throws: DNSFormatError(id: 0x1234, code: .notImplemented)) { try DNSQuery(update) }
        for (index, value) in [(5, UInt8(0)), (5, 2), (7, 1), (9, 1), (11, 5), (12, 64), (12, 0xc0)] {
            var bytes = question("a")
            bytes[index] = value
            #expect(throws: DNSFormatError(id: 0x1234)) { try DNSQuery(bytes) }
        }
        let long = (0..<5).map { _ in String(repeating: "x", count: 60) }.joined(separator: ".")
        #expect(throws: DNSFormatError.self) { try DNSQuery(question(long)) }
        #expect(DNSAnswer.failure(DNSFormatError()) == nil)
        #expect(DNSAnswer.failure(DNSFormatError(id: 0x1234)) == [0x12, 0x34, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("random bytes never do more than be refused")
    func survivesNoise() {
        var random = SystemRandomNumberGenerator()
        let sample = question("web.back", size: 1232)
        for _ in 0..<20_000 {
            var bytes = sample
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let query = try? DNSQuery(bytes)
            if let query { _ = DNSReply(bytes + bytes, to: query) }
        }
    }

    /// An answer with one address that holds for so many seconds.
    private func reply(_ name: String, seconds: UInt8, code: UInt8 = 0, id: UInt16 = 0x1234) -> [UInt8] {
        var bytes = question(name, id: id)
        bytes[2] = 0x81
        bytes[3] = 0x80 | code
        bytes[7] = 1
        return bytes + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, seconds, 0, 4, 192, 0, 2, 7]
    }

    @Test("an answer counts only for its question, at its whole length, and holds as long as its shortest record")
    func readsReplies() throws {
        let query = try DNSQuery(question("web.example"))
        let whole = reply("web.example", seconds: 60)
        let read = try #require(DNSReply(whole, to: query))
        #expect(read.secondsToLive == 60 && read.id == 0x1234 && !read.isTruncated)
        #expect(DNSReply(reply("other.example", seconds: 60), to: query) == nil)
        for length in 0..<whole.count { #expect(DNSReply(Array(whole[..<length]), to: query) == nil) }
        let failure = try #require(DNSReply(reply("web.example", seconds: 60, code: 2), to: query))
        #expect(failure.secondsToLive == nil)
    }

    @Test("a remembered answer has the asker's number and the time that is left, and ends with its time")
    func remembersAnswers() throws {
        var cache = AnswerCache(limit: 2)
        let query = try DNSQuery(question("web.example"))
        let bytes = reply("web.example", seconds: 60)
        let read = try #require(DNSReply(bytes, to: query))
        cache.store(bytes, read, to: query, servers: ["1.1.1.1"], now: 1000)
        let later = try DNSQuery(question("WEB.example", id: 0x4321))
        let answer = try #require(cache.answer(later, servers: ["1.1.1.1"], now: 21_000))
        #expect(answer[0..<2] == [0x43, 0x21] && answer[12..<16] == [3, 0x57, 0x45, 0x42])
        #expect(Array(answer.suffix(10)) == [0, 0, 0, 40, 0, 4, 192, 0, 2, 7])
        #expect(cache.answer(later, servers: ["9.9.9.9"], now: 21_000) == nil)
        #expect(cache.answer(later, servers: ["1.1.1.1"], now: 61_000) == nil)
        let speaker = try DNSQuery(question("web.example", size: 1232))
        #expect(cache.answer(speaker, servers: ["1.1.1.1"], now: 2000) == nil)
    }

    private func endpoint(
        _ container: String, _ network: String, _ number: Int, names: [String], isGateway: Bool = true, isInternal: Bool = false
    ) -> EndpointInfo {
        EndpointInfo(
            containerID: container, networkName: network, networkID: "id-\(network)", endpointID: "\(container)-\(network)",
            ipv4: "10.0.\(network.utf8.count).\(number)", ipv4PrefixLength: 24, ipv4Gateway: "10.0.\(network.utf8.count).1",
            ipv6: "fd00::\(network.utf8.count):\(number)", ipv6PrefixLength: 64, ipv6Gateway: "fd00::1",
            isGateway: isGateway, isInternal: isInternal, names: names)
    }

    private func addresses(_ answer: NameTable.Answer) -> Set<String> {
        if case .addresses(let found) = answer { Set(found.map(\.description)) } else { [] }
    }

    @Test("a name is known on its network alone, by any case, with the network's name, until it goes")
    func knowsNames() {
        let table = NameTable()
        let web = endpoint("w", "back", 2, names: ["web", "Alias"])
        table.add(web)
        table.add(endpoint("a", "back", 3, names: ["app"]))
        table.add(endpoint("o", "other", 4, names: ["out"]))
        for name in ["web", "alias", "WEB", "web.back"] {
            #expect(addresses(table.answer(DNSName(name), type: DNSType.a, for: "a")) == ["10.0.4.2"])
            #expect(addresses(table.answer(DNSName(name), type: DNSType.aaaa, for: "a")) == ["fd00::4:2"])
            #expect(table.answer(DNSName(name), type: DNSType.a, for: "o") == .unknown)
        }
        #expect(table.answer(DNSName("web"), type: 15, for: "a") == .nothing)
        #expect(table.answer(DNSName("nobody"), type: DNSType.a, for: "a") == .unknown)
        #expect(table.answer(DNSName("2.4.0.10.in-addr.arpa"), type: DNSType.ptr, for: "a") == .name("web.back"))
        #expect(table.answer(DNSName("2.4.0.10.in-addr.arpa"), type: DNSType.ptr, for: "o") == .unknown)
        table.remove(web)
        #expect(table.answer(DNSName("web"), type: DNSType.a, for: "a") == .unknown)
        #expect(table.answer(DNSName("2.4.0.10.in-addr.arpa"), type: DNSType.ptr, for: "a") == .unknown)
    }

    @Test("several containers of one alias are all told, links are the asker's alone, the host has a name where it can be reached")
    func knowsAliasesAndLinks() {
        let table = NameTable()
        for number in 2...4 { table.add(endpoint("w\(number)", "back", number, names: ["worker\(number)", "worker"])) }
        table.add(endpoint("i", "inside", 9, names: ["i"], isInternal: true))
        table.setView(NameTable.View(links: ["boss": "worker3"]), of: "w2")
        #expect(addresses(table.answer(DNSName("worker"), type: DNSType.a, for: "w2")) == ["10.0.4.2", "10.0.4.3", "10.0.4.4"])
        #expect(addresses(table.answer(DNSName("boss"), type: DNSType.a, for: "w2")) == ["10.0.4.3"])
        #expect(table.answer(DNSName("boss"), type: DNSType.a, for: "w4") == .unknown)
        #expect(addresses(table.answer(DNSName("host.docker.internal"), type: DNSType.a, for: "w2")) == ["10.0.4.1"])
        #expect(table.answer(DNSName("host.docker.internal"), type: DNSType.a, for: "i") == .unknown)
        #expect(table.servers(for: "w2") == [] && table.servers(for: "i") == nil && table.servers(for: "nobody") == nil)
    }

    @Test("a name that is too long for a message is not said")
    func keepsLongNames() {
        let table = NameTable()
        table.add(endpoint("w", "back", 2, names: [String(repeating: "x", count: 64)]))
        #expect(table.answer(DNSName("2.4.0.10.in-addr.arpa"), type: DNSType.ptr, for: "w") == .nothing)
    }

    @Test("addresses are asked about backwards, in both families")
    func reverseNames() {
        #expect(DNSName("2.0.30.172.in-addr.arpa").reverseAddress == IPAddress("172.30.0.2"))
        let digits = "2.0.0.0.e.1.c.a.0.0.0.0.0.0.0.0.0.0.0.0.a.9.8.7.6.5.4.3.2.1.d.f"
        #expect(DNSName(digits + ".ip6.arpa").reverseAddress == IPAddress("fd12:3456:789a::ac1e:2"))
        for name in ["0.30.172.in-addr.arpa", "2.0.30.999.in-addr.arpa", "arpa", "x.ip6.arpa", "2.0.30.172.example"] {
            #expect(DNSName(name).reverseAddress == nil)
        }
    }
}
