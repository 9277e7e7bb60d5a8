import Blocking
import Glibc
import Linux
import Testing

@testable import Networking

/// Limits of rate, measured with short transfers of a fixed size.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct RateTests {
    private static let rate: Int64 = 1_000_000
    private static let bytes = 250_000
    /// How long the bytes take at least under a limit, and at most on a machine that is busy.
    private static let limited = Duration.milliseconds(190)...Duration.seconds(10)
    private static let atOnce = Duration.milliseconds(180)

    /// Whether the bytes arrive at once, at least one time out of some: others use the machine, too.
    private func isFree(from client: SharedFD, to server: SharedFD, _ address: String) async throws -> Bool {
        for _ in 0..<20 where try await transfer(Self.bytes, from: client, to: server, address) < Self.atOnce { return true }
        return false
    }

    @Test("a container receives and sends no faster than it may, and as fast as it can once the limits are gone")
    func limits() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let box = try await TestContainer.connect("box", networks, receivingRate: Self.rate, sendingRate: Self.rate)
                let (inside, outside) = (box.endpoint.ipv4, box.endpoint.ipv4Gateway)
                #expect(Self.limited.contains(try await transfer(Self.bytes, from: host.namespace, to: box.namespace, inside)))
                #expect(Self.limited.contains(try await transfer(Self.bytes, from: box.namespace, to: host.namespace, outside)))
                // The bytes are counted once, as the container sees them.
                let counters = try #require(try await networks.counters(containerID: "box"))
                #expect((UInt64(Self.bytes)..<UInt64(Self.bytes) * 3 / 2).contains(counters.receivedBytes))
                #expect((UInt64(Self.bytes)..<UInt64(Self.bytes) * 3 / 2).contains(counters.sentBytes))

                // Each limit goes and comes alone, while the container runs.
                _ = try await networks.setRates(containerID: "box", receiving: 0, sending: Self.rate)
                #expect(try await isFree(from: host.namespace, to: box.namespace, inside))
                #expect(Self.limited.contains(try await transfer(Self.bytes, from: box.namespace, to: host.namespace, outside)))
                _ = try await networks.setRates(containerID: "box", receiving: Self.rate, sending: 0)
                #expect(try await isFree(from: box.namespace, to: host.namespace, outside))
                #expect(Self.limited.contains(try await transfer(Self.bytes, from: host.namespace, to: box.namespace, inside)))
                #expect(try await links(host, "isk").isEmpty)
            }
        }
    }

    @Test("the devices of a limit go with the container, those of a crash at the next start, and other drivers refuse limits")
    func leavesNothing() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            let one = try await TestContainer.connect("one", old, sendingRate: Self.rate)
            let two = try await TestContainer.connect("two", old, sendingRate: Self.rate)
            #expect(try await Set(links(host, "isk")) == Set([one, two].map { EndpointRates.redirector(of: $0.endpoint.hostInterface) }))
            await old.disconnect(containerID: "one")
            try await old.network(Networks.defaultNetwork).settle()
            #expect(try await links(host, "isk").count == 1)
            // The other one's cable ends with its namespace, while no engine looks.
            #expect(try await links(host, "vsk") == [two.endpoint.hostInterface])
            try await run("/usr/sbin/ip", "link", "del", two.endpoint.hostInterface, in: host.namespace)
            await old.dropSockets()

            let new = host.networks(database)
            try await new.prepare()
            #expect(try await links(host, "isk").isEmpty)
            var lan = NetworkRequest(name: "lan", driver: "macvlan")
            lan.options = ["parent": "up0"]
            lan.subnets = [NetworkInfo.Subnet("198.51.100.0/24", gateway: TestHost.outside4)]
            _ = try await new.create(lan)
            await #expect(throws: NetworkError.self) { try await TestContainer.connect("three", new, network: "lan", sendingRate: Self.rate) }
            try await new.remove()
        }
    }

    private func links(_ host: TestHost, _ prefix: String) async throws -> [String] {
        try await within(host.namespace) {
            var socket = try RouteSocket()
            return try socket.links().map(\.name).filter { $0.hasPrefix(prefix) }
        }
    }
}

/// How long it takes until all bytes of a TCP connection have arrived.
private func transfer(_ bytes: Int, from client: SharedFD, to server: SharedFD, _ address: String) async throws -> Duration {
    let address = try #require(IPAddress(address))
    let port: UInt16 = 7100
    let listener = try await within(server) {
        let socket = SharedFD(OwnedFD(adopting: try makeSocket(AF_INET, .tcp)))
        var on: Int32 = 1
        setsockopt(socket.raw, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        try bindSocket(socket.raw, address, port)
        try check("listen") { listen(socket.raw, 1) }
        return socket
    }
    let start = ContinuousClock.now
    async let sending: Void = within(client) {
        let socket = OwnedFD(adopting: try makeSocket(AF_INET, .tcp))
        let raw = socket.raw
        try check("connect") { withSocketAddress(address, port) { connect(raw, $0, $1) } }
        let data = [UInt8](repeating: 7, count: bytes)
        var sent = 0
        // All of them are the same.
        while sent < bytes { sent += try check("send") { send(raw, data, bytes - sent, 0) } }
    }
    let received = try await blocking { () throws -> Int in
        var name = sockaddr_in6()
        let peer = OwnedFD(adopting: try check("accept") { withName(&name) { accept(listener.raw, $0, $1) } })
        let raw = peer.raw
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var received = 0
        while true {
            let count = try check("recv") { recv(raw, &buffer, buffer.count, 0) }
            if count == 0 { return received }
            received += count
        }
    }
    try await sending
    #expect(received == bytes)
    return ContinuousClock.now - start
}
