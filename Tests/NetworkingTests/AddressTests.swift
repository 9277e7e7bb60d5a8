import Testing

@testable import Linux
@testable import Networking

@Suite struct AddressTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
    private func pool(_ text: String) throws -> AddressPool {
        let subnet = try #require(Subnet(try prefix(text)))
        return try #require(AddressPool(subnet))
    }

    @Test("addresses are read and written in the usual notations, others are refused")
    func parsesAddresses() {
        for text in ["0.0.0.0", "172.30.0.2", "::", "fd00::2", "2001:db8::1:0:0:1"] {
            #expect(IPAddress(text)?.description == text)
        }
        for text in ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "fe80::1%eth0", "[::1]", "1.2.3.4/8", "localhost"] {
            #expect(IPAddress(text) == nil)
        }
    }

    @Test("a prefix knows what is in it and what overlaps it")
    func prefixes() throws {
        let subnet = try prefix("172.30.0.0/15")
        #expect(subnet.maskBytes == [255, 254, 0, 0])
        #expect(subnet.contains(try address("172.31.255.255")))
        #expect(!subnet.contains(try address("172.32.0.0")))
        #expect(!subnet.contains(try address("fd00::1")))
        #expect(subnet.overlaps(try prefix("172.31.4.0/24")))
        #expect(try prefix("172.31.4.0/24").overlaps(subnet))
        #expect(!subnet.overlaps(try prefix("172.28.0.0/15")))
        #expect(try prefix("0.0.0.0/0").overlaps(subnet))
        for text in ["1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4", "1.2.3.4/", "::/129", "/8", "1.2.3.4/8/8"] {
            #expect(IPPrefix(text) == nil)
        }
    }

    @Test(
        "the pool gives out every address once, the gateway and the ends never, and a returned one as late as possible")
    func allocates() throws {
        var pool = try self.pool("10.1.2.0/29")
        let given = (0..<5).map { _ in pool.take()?.description }
        #expect(given == ["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"])
        let whenFull = pool.take()
        #expect(whenFull == nil)
        pool.release(try address("10.1.2.5"))
        pool.release(try address("10.1.2.3"))
        let again = (0..<3).map { _ in pool.take()?.description }
        #expect(again == ["10.1.2.3", "10.1.2.5", nil])
    }

    @Test("a stored address is taken once, and only from its subnet")
    func restoresAddresses() throws {
        var pool = try self.pool("10.1.2.0/24")
        let first = try address("10.1.2.2")
        let outcomes = [pool.take(first), pool.take(first)]
        #expect(outcomes == [true, false])
        let next = pool.take()?.description
        #expect(next == "10.1.2.3")
        for text in ["10.1.2.1", "10.1.2.0", "10.1.2.255", "10.1.3.4", "fd00::2"] {
            let isTaken = pool.take(try address(text))
            #expect(!isTaken)
        }
        for text in ["10.0.0.0/31", "10.0.0.0/32", "fd00::/127"] {
            let subnet = try #require(Subnet(try prefix(text)))
            #expect(AddressPool(subnet) == nil)
        }
    }

    @Test("of a small subnet, or an IPv6 one, every address is given out that nobody else has")
    func smallPools() throws {
        var four = try pool("10.0.0.0/30")
        let given = [four.take()?.description, four.take()?.description]
        #expect(given == ["10.0.0.2", nil])
        var six = try pool("fd00::/126")
        let all = (0..<3).map { _ in six.take()?.description }
        #expect(all == ["fd00::2", "fd00::3", nil])
    }

    @Test("addresses come from the range, and never one that the user has kept for something else; by wish from the whole subnet")
    func rangesAndReservedAddresses() throws {
        let (whole, range) = (try prefix("10.1.0.0/16"), try prefix("10.1.4.0/30"))
        let (gateway, router) = (try address("10.1.4.1"), try address("10.1.4.2"))
        let subnet = try #require(Subnet(whole, range: range, gateway: gateway, reserved: ["router": router]))
        var pool = try #require(AddressPool(subnet))
        let given = (0..<3).map { _ in pool.take()?.description }
        #expect(given == ["10.1.4.0", "10.1.4.3", nil])
        let byWish = [pool.take(try address("10.1.9.9")), pool.take(try address("10.1.4.2")), pool.take(try address("10.2.0.1"))]
        #expect(byWish == [true, false, false])
    }

    @Test("what a user says about subnets is checked, and everything wrong is told at once, in Docker's words")
    func checksSubnets() throws {
        let good = try SubnetRequest.resolve([
            NetworkInfo.Subnet("10.5.0.0/16", range: "10.5.1.0/24", gateway: "10.5.0.9", reserved: ["a": "10.5.0.10"]),
            NetworkInfo.Subnet("fd00:5::/64"),
        ])
        #expect(good.map(\.gateway.description) == ["10.5.0.9", "fd00:5::1"])
        let error = #expect(throws: NetworkError.self) {
            try SubnetRequest.resolve([
                NetworkInfo.Subnet("10.5.0.1/16", range: "10.6.0.0/24", gateway: "10.6.0.1", reserved: ["a": "fd00::1"]),
                NetworkInfo.Subnet("10.5.0.0"),
            ])
        }
        #expect(
            error?.description == """
                invalid network config:
                invalid subnet 10.5.0.1/16: it should be 10.5.0.0/16
                invalid ip-range 10.6.0.0/24: parent subnet 10.5.0.1/16 doesn't contain ip-range
                invalid gateway 10.6.0.1: parent subnet 10.5.0.1/16 doesn't contain this address
                invalid auxiliary address a: parent subnet is an IPv4 block
                invalid subnet 10.5.0.0: invalid CIDR block notation
                """)
    }

    @Test("a subnet is chosen that no route leads into")
    func choosesSubnets() throws {
        func route(_ text: String, link: UInt32 = 2) throws -> Route {
            Route(
                destination: try prefix(text), link: link, gateway: nil, priority: 0, isFromAdvertisement: false)
        }
        let pool = ["172.30.0.0/16", "172.29.0.0/16"]
        let defaultRoute = try route("0.0.0.0/0")
        #expect(try SubnetChoice.ipv4(pool: pool, routes: [defaultRoute], ownLink: nil).description == "172.30.0.0/16")
        let taken = [defaultRoute, try route("172.30.7.0/24")]
        #expect(try SubnetChoice.ipv4(pool: pool, routes: taken, ownLink: nil).description == "172.29.0.0/16")
        #expect(try SubnetChoice.ipv4(pool: pool, routes: taken, ownLink: 2).description == "172.30.0.0/16")
        let all = [try route("172.16.0.0/12")]
        #expect(throws: NetworkError.noFreeSubnet) { try SubnetChoice.ipv4(pool: pool, routes: all, ownLink: nil) }
    }

    @Test("an IPv6 subnet is a random unique local one, and addresses in it end like their IPv4 address")
    func derivesIPv6() throws {
        let subnet = try #require(SubnetChoice.ipv6())
        #expect(subnet.length == 64)
        #expect(subnet.address.bytes[0] == 0xfd)
        #expect(subnet != SubnetChoice.ipv6())
        let known = try prefix("fd12:3456:789a::/64")
        #expect(known.firstHost?.description == "fd12:3456:789a::1")
        #expect(known.address(endingLike: try address("172.30.0.2"))?.description == "fd12:3456:789a::ac1e:2")
    }

    @Test("hardware addresses are local and unicast; others are refused")
    func hardwareAddresses() throws {
        let bytes = HardwareAddress.bytes(for: try address("172.30.0.2"))
        #expect(HardwareAddress.text(bytes) == "02:5b:ac:1e:00:02")
        #expect(HardwareAddress.parse("02:5b:AC:1e:00:02") == bytes)
        for text in [
            "", "02:5b:ac:1e:00", "02:5b:ac:1e:00:02:03", "2:5b:ac:1e:0:2", "03:00:00:00:00:01", "00:00:00:00:00:00",
        ] {
            #expect(HardwareAddress.parse(text) == nil)
        }
    }
}
