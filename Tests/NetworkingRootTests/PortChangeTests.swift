import Glibc
import Linux
import Testing

@testable import Networking

/// Ports that are published, and taken back, while the container runs.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct PortChangeTests {
    @Test("a port of a running container opens and closes, and the others do not notice", arguments: [TransportProtocol.tcp, .udp])
    func opensAndCloses(proto: TransportProtocol) async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let first = PublishedPort(hostPort: 8080, containerPort: 80, proto: proto)
                let second = PublishedPort(hostPort: 8081, containerPort: 80, proto: proto)
                let web = try await TestContainer.connect("web", networks, ports: [first])
                let server = try await WhoAmIServer.start(80, proto, in: web.namespace)
                func answers(_ port: UInt16, _ address: String = TestHost.address4, milliseconds: Int = 3000) async throws -> Bool {
                    try await ask(address, port, proto, from: host.outside, milliseconds: milliseconds) != nil
                }
                #expect(try await !answers(8081, milliseconds: 100))
                let changed = try await networks.changePorts(containerID: "web", adding: [second], removing: [])
                #expect(changed.ports == [first, second])
                for (port, address) in [(8080, TestHost.address4), (8081, TestHost.address4), (8081, TestHost.address6)] {
                    #expect(try await answers(UInt16(port), address))
                }
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8081, proto) } == EADDRINUSE)

                _ = try await networks.changePorts(containerID: "web", adding: [], removing: [first])
                #expect(try await !answers(8080, milliseconds: 100))
                #expect(try await answers(8081))
                #expect(try await becomesFree(8080, proto, host))
                try await server.finish()
            }
        }
    }

    @Test("a change is made in full or not at all, and whoever has the port is named")
    func isAllOrNothing() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let first = PublishedPort(hostPort: 8080, containerPort: 80)
                let (web, taken) = (PublishedPort(hostPort: 8090, containerPort: 80), PublishedPort(hostPort: 8091, containerPort: 80))
                _ = try await TestContainer.connect("web", networks, ports: [first])
                _ = try await TestContainer.connect("other", networks, ports: [taken])
                await #expect(throws: NetworkError.portAllocated(address: "0.0.0.0", port: 8091, holder: "other")) {
                    try await networks.changePorts(containerID: "web", adding: [web, taken], removing: [first])
                }
                await #expect(throws: NetworkError.portAllocated(address: "0.0.0.0", port: 8080, holder: "web")) {
                    try await networks.changePorts(containerID: "web", adding: [first], removing: [])
                }
                #expect(await networks.endpoint(containerID: "web")?.ports == [first])
                #expect(try await becomesFree(8090, .tcp, host))
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == EADDRINUSE)
                // The same port of the host leads elsewhere, and back.
                let elsewhere = PublishedPort(hostPort: 8080, containerPort: 81)
                #expect(try await networks.changePorts(containerID: "web", adding: [elsewhere], removing: [first]).ports == [elsewhere])
                #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == EADDRINUSE)
                await #expect(throws: NetworkError.self) {
                    try await networks.changePorts(containerID: "web", adding: [first, taken], removing: [elsewhere])
                }
                #expect(try await networks.changePorts(containerID: "web", adding: [first], removing: [elsewhere]).ports == [first])
                // A port of the engine's choice, and neighbours that become one range.
                let chosen = try await networks.changePorts(
                    containerID: "web", adding: [PublishedPort(containerPort: 81)], removing: [first])
                #expect(chosen.ports.count == 1 && chosen.ports[0].hostPort != 0)
                let range = (UInt16(9000)...9009).map { PublishedPort(hostPort: $0, containerPort: $0) }
                _ = try await networks.changePorts(containerID: "web", adding: Array(range.prefix(5)), removing: [])
                _ = try await networks.changePorts(containerID: "web", adding: Array(range.dropFirst(5)), removing: chosen.ports)
                #expect(try await elements(host, "anyrange4") == 1)
                _ = try await networks.changePorts(containerID: "web", adding: [], removing: range)
                #expect(try await elements(host, "anyrange4") == 0)
                await #expect(throws: NetworkError.self) {
                    try await networks.changePorts(containerID: "nobody", adding: [web], removing: [])
                }
            }
        }
    }

    @Test("a port that was published later outlives the engine")
    func outlivesTheEngine() async throws {
        try await TestHost.with { host in
            let database = try await host.database()
            let old = host.networks(database)
            try await old.prepare()
            let web = try await TestContainer.connect("web", old)
            let server = try await WhoAmIServer.start(80, .tcp, in: web.namespace)
            let port = PublishedPort(hostPort: 8080, containerPort: 80)
            _ = try await old.changePorts(containerID: "web", adding: [port], removing: [])
            await old.dropSockets()
            #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
            let new = host.networks(database)
            try await new.prepare()
            await new.reconcile(running: ["web"])
            #expect(await new.endpoint(containerID: "web")?.ports == [port])
            #expect(try await ask(TestHost.address4, 8080, from: host.outside) == TestHost.outside4)
            #expect(try await within(host.namespace) { try tryToListen("0.0.0.0", 8080, .tcp) } == EADDRINUSE)
            _ = try await new.changePorts(containerID: "web", adding: [], removing: [port])
            #expect(try await ask(TestHost.address4, 8080, from: host.outside, milliseconds: 100) == nil)
            #expect(try await becomesFree(8080, .tcp, host))
            try await server.finish()
            try await new.remove()
        }
    }

    /// Soon: a program that another test starts just now has every descriptor for a moment.
    private func becomesFree(_ port: UInt16, _ proto: TransportProtocol, _ host: TestHost) async throws -> Bool {
        for _ in 0..<1000 where try await within(host.namespace, { try tryToListen("0.0.0.0", port, proto) }) == 0 { return true }
        return false
    }

    private func elements(_ host: TestHost, _ map: String) async throws -> Int {
        try await within(host.namespace) {
            var socket = try NftSocket()
            return try socket.elements(table: "skt", set: map).count
        }
    }
}
