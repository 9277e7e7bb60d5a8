import Blocking
import Glibc
import Linux
import SystemPackage
import Testing

@testable import Networking

/// Names as a container hears them, by real sockets in real namespaces.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct NameServerTests {
    @Test("a container hears of its neighbours over UDP and TCP, beside a name server of its own", arguments: [TransportProtocol.udp, .tcp])
    func answers(proto: TransportProtocol) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let web = try await TestContainer.connect("web", networks, names: ["web"])
                let app = try await TestContainer.connect("app", networks, names: ["app"])
                try await networks.serveNames(containerID: "app", namespace: app.namespace, links: ["Shop": "web"])
                let own = try await WhoAmIServer.start(53, proto, in: app.namespace)
                for name in ["web", "shop"] {
                    let answer = try #require(try await lookUp(name, proto, from: app.namespace))
                    #expect(answer.addresses == [web.endpoint.ipv4] && answer.code == 0)
                    let six = try #require(try await lookUp(name, proto, type: DNSType.aaaa, from: app.namespace))
                    #expect(six.addresses == [web.endpoint.ipv6])
                }
                #expect(try await lookUp("web", proto, type: 15, from: app.namespace)?.code == 0)
                #expect(try await ask("127.0.0.1", 53, proto, from: app.namespace) == "127.0.0.1")
                await networks.disconnect(containerID: "web")
                #expect(try await lookUp("web", proto, from: app.namespace)?.addresses == [])
                try await own.finish()
            }
        }
    }

    @Test("a new engine answers where the old one did")
    func survivesTheEngine() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            _ = try await TestContainer.connect("web", old, names: ["web"])
            let app = try await TestContainer.connect("app", old, names: ["app"])
            try await old.serveNames(containerID: "app", namespace: app.namespace)
            await old.names.stop()
            await old.dropSockets()
            let new = host.networks(database)
            await new.reconcile(running: ["web", "app"])
            try await new.serveNames(containerID: "app", namespace: app.namespace)
            try await new.serveNames(containerID: "web", namespace: app.namespace)
            #expect(try await lookUp("web", .udp, from: app.namespace)?.addresses.count == 1)
            try await new.remove()
        }
    }

    @Test("what nobody here knows is asked of the host's name server, remembered, and asked of the new one when that changes")
    func forwards() async throws {
        try await TestHost.with { host in
            let file = FilePath("/tmp/skiff-resolv-\(randomID().prefix(12))")
            defer { unlink(file.string) }
            try write("nameserver \(TestHost.outside4)\n", to: file)
            let networks = host.networks(try await host.database(), resolverFiles: [file])
            try await networks.prepare()
            let app = try await TestContainer.connect("app", networks, names: ["app"])
            try await networks.serveNames(containerID: "app", namespace: app.namespace)
            let upstream = try await Upstream.start(in: host.outside, at: TestHost.outside4, answer: "192.0.2.7")
            for name in ["www.example", "WWW.example"] {
                #expect(try await lookUp(name, .udp, from: app.namespace)?.addresses == ["192.0.2.7"])
            }
            #expect(try await upstream.finish() == 1)
            let second = try await Upstream.start(in: host.outside, at: TestHost.outside6, answer: "192.0.2.8")
            try write("nameserver \(TestHost.outside6)\n", to: file)
            var answer = try await lookUp("www.example", .udp, from: app.namespace)
            let end = ContinuousClock.now + .seconds(5)
            while answer?.addresses != ["192.0.2.8"], ContinuousClock.now < end {
                answer = try await lookUp("www.example", .udp, from: app.namespace)
            }
            #expect(answer?.addresses == ["192.0.2.8"])
            _ = try await second.finish()
            // Nobody is there any more.
            #expect(try await lookUp("gone.example", .udp, from: app.namespace, milliseconds: 6000)?.code == 2)
            try await networks.remove()
        }
    }

    @Test("from an internal network no question leaves, and a name that nobody has does not exist")
    func keepsInternalQuestions() async throws {
        try await TestHost.with { host in
            let file = FilePath("/tmp/skiff-resolv-\(randomID().prefix(12))")
            defer { unlink(file.string) }
            try write("nameserver \(TestHost.outside4)\n", to: file)
            let networks = host.networks(try await host.database(), resolverFiles: [file])
            var inside = NetworkRequest(name: "inside")
            inside.isInternal = true
            _ = try await networks.create(inside)
            let app = try await TestContainer.connect("app", networks, network: "inside", names: ["app"])
            try await networks.serveNames(containerID: "app", namespace: app.namespace, servers: [TestHost.outside4])
            let upstream = try await Upstream.start(in: host.outside, at: TestHost.outside4, answer: "192.0.2.7")
            #expect(try await lookUp("www.example", .udp, from: app.namespace)?.code == 3)
            #expect(try await lookUp("host.docker.internal", .udp, from: app.namespace)?.code == 3)
            #expect(try await lookUp("app", .udp, from: app.namespace)?.addresses == [app.endpoint.ipv4])
            #expect(try await upstream.finish() == 0)
            try await networks.remove()
        }
    }

    @Test("nonsense gets no more than a refusal, and the next question its answer; the time of one is printed")
    func survivesNonsense() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let app = try await TestContainer.connect("app", networks, names: ["app"])
                let clock = ContinuousClock()
                let start = clock.now
                try await networks.serveNames(containerID: "app", namespace: app.namespace)
                print("names for a container: \(clock.now - start)")
                try await within(app.namespace) {
                    let socket = try InternetSocket(.udp, .v4)
                    try socket.connect(SocketAddress(NameSockets.address, port: 53))
                    for _ in 0..<500 {
                        let bytes = (0..<Int.random(in: 0...600)).map { _ in UInt8.random(in: 0...255) }
                        try socket.send(bytes)
                    }
                }
                let before = clock.now
                for _ in 0..<100 { #expect(try await lookUp("app", .udp, from: app.namespace) != nil) }
                print("a name: \((clock.now - before) / 100), thread and socket of the asker included")
            }
        }
    }

    private func write(_ text: String, to file: FilePath) throws {
        try OwnedFD.open(file, [.writeOnly, .create, .truncate], mode: 0o644).writeAll(Array(text.utf8))
    }
}

/// What came back: the code, and the addresses among the answers.
private struct LookUp: Sendable {
    var code: UInt8
    var addresses: [String]
}

private func lookUp(
    _ name: String, _ proto: TransportProtocol, type: UInt16 = DNSType.a, from namespace: SharedFD, milliseconds: Int = 3000
) async throws -> LookUp? {
    var message: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    message += DNSName(name).wire + [UInt8(type >> 8), UInt8(type & 255), 0, 1]
    let question = message
    guard let bytes = try await exchange(question, proto, from: namespace, milliseconds: milliseconds) else { return nil }
    var reader = DNSReader(bytes, at: 4)
    let malformed = DNSFormatError()
    _ = try reader.number(or: malformed)
    let count = try reader.number(or: malformed)
    _ = (try reader.number(or: malformed), try reader.number(or: malformed))
    _ = (try reader.name(or: malformed), try reader.number(or: malformed), try reader.number(or: malformed))
    var found: [String] = []
    for _ in 0..<count {
        let record = try reader.record(or: malformed)
        if let address = IPAddress(bytes: bytes[record.data]) { found.append(address.description) }
    }
    return LookUp(code: bytes[3] & 15, addresses: found)
}

private func exchange(_ question: [UInt8], _ proto: TransportProtocol, from namespace: SharedFD, milliseconds: Int) async throws -> [UInt8]? {
    try await within(namespace) {
        let socket = OwnedFD(adopting: try makeSocket(AF_INET, proto))
        let raw = socket.raw
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard withSocketAddress(NameSockets.address, 53, { connect(raw, $0, $1) }) == 0 else { return nil }
        let sent = proto == .tcp ? [0, UInt8(question.count)] + question : question
        guard send(raw, sent, sent.count, 0) == sent.count else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(raw, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        return Array(buffer[(proto == .tcp ? 2 : 0)..<count])
    }
}

/// A name server somewhere else that says the same of every name; tells how often it was asked.
private final class Upstream: Sendable {
    private let stop: SharedFD
    private let task: Task<Int, any Error>

    static func start(in namespace: SharedFD, at address: String, answer: String) async throws -> Upstream {
        let address = try #require(IPAddress(address))
        let data = try #require(IPAddress(answer)).bytes
        let (reader, writer) = try openPipe { reading, writing in (SharedFD(reading), SharedFD(writing)) }
        let socket = try await within(namespace) {
            let socket = try InternetSocket(.udp, address.isV4 ? .v4 : .v6)
            try socket.bind(SocketAddress(address, port: 53))
            return socket
        }
        let task = Task {
            try await blocking { () -> Int in
                let epoll = try Epoll()
                try epoll.add(socket.raw, .readable, token: 1)
                try epoll.add(reader.raw, .readable, token: 0)
                var count = 0
                while true {
                    for event in try epoll.wait(milliseconds: 30_000) {
                        if event.token == 0 { return count }
                        guard let (bytes, sender) = try socket.receive(limit: 4096) else { continue }
                        count += 1
                        var reply = bytes
                        reply[2] = 0x81
                        reply[3] = 0x80
                        reply[7] = 1
                        try socket.send(reply + [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4] + data, to: sender)
                    }
                }
            }
        }
        return Upstream(stop: writer, task: task)
    }

    private init(stop: SharedFD, task: Task<Int, any Error>) {
        self.stop = stop
        self.task = task
    }

    func finish() async throws -> Int {
        try stop.withOwned { try $0.writeAll([1]) }
        return try await task.value
    }
}
