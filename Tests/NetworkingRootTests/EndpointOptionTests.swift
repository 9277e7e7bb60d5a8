import Glibc
import Linux
import Testing

@testable import Networking

/// What one container asks for on a network, and configurations that networks are made of.
@Suite(.enabled(if: getuid() == 0), .serialized)
struct EndpointOptionTests {
    @Test("addresses of one cable talk to each other, and to nobody else", arguments: [0, 1])
    func linkLocal(bridgeFilter: Int) async throws {
        try await TestHost.with { host in
            try await host.setBridgeFilter(bridgeFilter)
            try await host.withNetworks { networks in
                let one = try await TestContainer.connect("one", networks) { $0.linkLocalAddresses = ["169.254.7.7", "fe80::7"] }
                let two = try await TestContainer.connect("two", networks) { $0.linkLocalAddresses = ["169.254.7.8"] }
                let neighbour = try await WhoAmIServer.start(80, .tcp, in: one.namespace)
                #expect(try await ask("169.254.7.7", 80, from: two.namespace) == "169.254.7.8")

                // The host and somebody outside have such addresses as well, and know the way back.
                try await run("/usr/sbin/ip", "address", "add", "169.254.9.9/32", "dev", "lo", in: host.namespace)
                try await run("/usr/sbin/ip", "address", "add", "169.254.8.8/32", "dev", "lo", in: host.outside)
                try await run("/usr/sbin/ip", "route", "add", "169.254.8.8/32", "via", TestHost.outside4, in: host.namespace)
                try await run("/usr/sbin/ip", "route", "add", "169.254.7.8/32", "dev", "skt0", in: host.namespace)
                try await run("/usr/sbin/ip", "route", "add", "169.254.7.8/32", "via", TestHost.address4, in: host.outside)
                let servers = [
                    try await WhoAmIServer.start(9000, .tcp, in: host.namespace), try await WhoAmIServer.start(9000, .tcp, in: host.outside),
                ]
                for address in ["169.254.9.9", "169.254.8.8"] {
                    try await run(
                        "/usr/sbin/ip", "route", "add", address + "/32", "via", two.endpoint.ipv4Gateway, "src", "169.254.7.8", in: two.namespace)
                    #expect(try await ask(address, 9000, from: two.namespace, milliseconds: 200) == nil, "\(address)")
                }
                for target in [TestHost.address4, TestHost.outside4] {
                    try await run(
                        "/usr/sbin/ip", "route", "add", target + "/32", "via", two.endpoint.ipv4Gateway, "src", "169.254.7.8", in: two.namespace)
                    #expect(try await ask(target, 9000, from: two.namespace, milliseconds: 200) == nil, "\(target)")
                }
                // It is the source that counts.
                #expect(try await ask(TestHost.address4, 9000, from: one.namespace) != nil)
                for server in servers + [neighbour] { try await server.finish() }
            }
        }
    }

    @Test("names of devices are chosen around those that somebody wants, and nobody gets another device's name")
    func names() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let first = try await TestContainer.connect("first", networks) { request in
                    request.options = try EndpointOptions(["com.docker.network.endpoint.ifname": "eth1"])
                }
                #expect(first.endpoint.interface == "eth1")
                let network = try await networks.find("bridge").id
                var request = EndpointRequest(containerID: "second", networkID: network)
                (request.interfaceNumber, request.takenInterfaces) = (1, ["eth1", "eth2"])
                #expect(try await networks.reserve(request).interface == "eth3")
                request = EndpointRequest(containerID: "third", networkID: network)
                request.options = try EndpointOptions(["com.docker.network.endpoint.ifname": "eth1"])
                request.takenInterfaces = ["eth1"]
                let third = request
                await #expect(throws: NetworkError.self) { _ = try await networks.reserve(third) }
                #expect(await networks.endpoint(containerID: "third") == nil)
            }
        }
    }

    @Test("a device without IPv6 has neither address nor route of it")
    func withoutIPv6() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let container = try await TestContainer.connect("c", networks) { request in
                    request.options = try EndpointOptions(["com.docker.network.endpoint.sysctls": "net.ipv6.conf.IFNAME.disable_ipv6=1"])
                }
                #expect(container.endpoint.ipv6.isEmpty && container.endpoint.ipv6Gateway.isEmpty)
                let routes = try await within(container.namespace) { () throws -> [Bool] in
                    var socket = try RouteSocket()
                    return try AddressFamily.allCases.map { try socket.routes($0).contains(where: \.isDefault) }
                }
                #expect(routes == [true, false])

                // Nor does it make one up of what a neighbour says.
                var request = NetworkRequest(name: "four")
                request.wantsIPv6 = false
                _ = try await networks.create(request)
                for (addresses, expected) in [([], [0, 1]), (["fe80::7"], [0, 0])] {
                    let container = try await TestContainer.connect("c\(addresses.count)", networks, network: "four") {
                        $0.linkLocalAddresses = addresses
                    }
                    let settings = try await within(container.namespace) {
                        try ["accept_ra", "disable_ipv6"].map { try NetworkSettings.read("ipv6/conf/eth0/\($0)") }
                    }
                    #expect(settings == expected)
                }
            }
        }
    }

    @Test("nobody gets the gateway's hardware address, or its address of the cable")
    func gatewaysOwn() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let definition = await (try networks.network("bridge")).definition
                var requests = [
                    EndpointRequest(containerID: "c", networkID: definition.id), EndpointRequest(containerID: "c", networkID: definition.id),
                ]
                requests[0].macAddress = HardwareAddress.text(definition.hardwareAddress).uppercased()
                requests[1].linkLocalAddresses = ["fe80:0::1"]
                for request in requests {
                    let error = await #expect(throws: NetworkError.self) { _ = try await networks.reserve(request) }
                    #expect("\(error.map { "\($0)" } ?? "")".hasSuffix("is that of the gateway of network bridge"))
                }
            }
        }
    }

    @Test("a device that cannot be made takes no other one with it, nor does one that is taken out")
    func removesOnlyItsOwn() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                let container = try await TestContainer.connect("c", networks)
                var wanted = NetworkRequest(name: "cable", driver: "macvlan")
                wanted.options = ["parent": "up0"]
                let cable = try await networks.create(wanted).id
                var request = EndpointRequest(containerID: "c", networkID: cable)
                request.options = try EndpointOptions(["com.docker.network.endpoint.ifname": "eth0"])
                let refused = try await networks.reserve(request)
                await #expect(throws: (any Error).self) { try await networks.connect(refused, namespace: container.namespace) }
                let network = try #require(await networks.networks[cable])
                let definition = await network.definition
                func remove(_ endpoint: EndpointInfo) async throws -> [String] {
                    try await within(container.namespace) { try EndpointLink(endpoint: endpoint, network: definition).removeInside() }
                    return try await within(container.namespace) { () throws -> [String] in
                        var socket = try RouteSocket()
                        return try socket.links().map(\.name)
                    }
                }
                #expect(try await remove(refused) == ["lo", "eth0"])
                await networks.disconnect(containerID: "c", networkID: cable, pid: nil)

                // By another name it is still the one.
                request = EndpointRequest(containerID: "c", networkID: cable)
                request.interfaceNumber = 1
                let made = try await networks.reserve(request)
                try await networks.connect(made, namespace: container.namespace)
                try await run("/usr/sbin/ip", "link", "set", "eth1", "down", in: container.namespace)
                try await run("/usr/sbin/ip", "link", "set", "eth1", "name", "other", in: container.namespace)
                #expect(try await remove(made) == ["lo", "eth0"])
            }
        }
    }

    @Test("a network is removed by its name, though that is how a configuration's id begins")
    func namesComeFirst() async throws {
        try await TestHost.with { host in
            try await host.withNetworks { networks in
                var request = NetworkRequest(name: "plan")
                request.isConfiguration = true
                let plan = try await networks.create(request)
                let name = String(plan.id.prefix(6))
                let network = try await networks.create(NetworkRequest(name: name))
                #expect(try await networks.find(name).id == network.id)
                #expect(try await networks.remove(name).id == network.id)
                #expect(try await networks.remove(name).id == plan.id)
                #expect(await networks.info().map(\.name) == ["bridge"])
            }
        }
    }
}
