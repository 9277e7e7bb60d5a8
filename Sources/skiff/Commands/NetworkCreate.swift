import DockerAPI
import EngineClient

/// The flags of `network create`.
private enum CreateFlags {
    static let attachable = Flag<Bool>.toggle("attachable", "Let containers attach by hand")
    static let auxAddress = Flag<[String]>.list("aux-address", as: "map", "Keep an address that something else uses: name=ip")
    static let driver = Flag<String>.text("driver", short: "d", initially: "bridge", "Driver of the network: bridge, macvlan or ipvlan")
    static let gateway = Flag<[String]>.list("gateway", as: "ipSlice", "Gateway of a subnet")
    static let isInternal = Flag<Bool>.toggle("internal", "Let nothing out of the network")
    static let ipRange = Flag<[String]>.list("ip-range", as: "ipNetSlice", "Give addresses out from this part of a subnet")
    static let ipamDriver = Flag<String>.text("ipam-driver", initially: "default", "Driver of the addresses")
    static let ipamOption = Flag<[String]>.list("ipam-opt", as: "map", "Option of the address driver")
    static let ipv4 = Flag<Bool>.toggle("ipv4", "Give IPv4 addresses (default true)")
    static let ipv6 = Flag<Bool>.toggle("ipv6", "Give IPv6 addresses (default: where the host has IPv6)")
    static let label = Flag<[String]>.list("label", "Set a label")
    static let option = Flag<[String]>.list("opt", short: "o", as: "map", "Option of the driver")
    static let scope = Flag<String>.text("scope", "Scope of the network")
    static let subnet = Flag<[String]>.list("subnet", as: "stringSlice", "Subnet in CIDR notation")
    static let configFrom = Flag<String>.text("config-from", "Network to take the configuration from")
    static let configOnly = Flag<Bool>.toggle("config-only", "Make a configuration, not a network")
    static let ingress = Flag<Bool>.toggle("ingress", "Make the routing mesh of a swarm")

    static var all: [any FlagDefinition] {
        [
            attachable, auxAddress, configFrom, configOnly, driver, gateway, ingress, isInternal, ipRange, ipamDriver,
            ipamOption, ipv4, ipv6, label, option, scope, subnet,
        ]
    }
}

extension Command {
    static func createNetwork() -> Command {
        Command(
            name: "create", usage: "[OPTIONS] NETWORK", summary: "Make a network", arguments: .exactly(1), flags: CreateFlags.all
        ) { call in
            let request = try networkRequest(call)
            let network = try await call.program.engine.get(
                NetworkCreateResponse.self, EngineRequest(.post, "/networks/create", body: try EngineClient.json(request)))
            if let warning = network.Warning, !warning.isEmpty { try call.program.warn("WARNING: \(warning)") }
            try call.program.print(network.Id ?? "")
            return 0
        }
    }

    private static func networkRequest(_ call: Invocation) throws -> NetworkCreateRequest {
        var request = NetworkCreateRequest()
        request.Name = call.arguments[0]
        request.Driver = call[CreateFlags.driver]
        request.Scope = call[CreateFlags.scope]
        request.Internal = call[CreateFlags.isInternal]
        request.Attachable = call[CreateFlags.attachable]
        request.Ingress = call[CreateFlags.ingress]
        request.ConfigOnly = call[CreateFlags.configOnly]
        if !call[CreateFlags.configFrom].isEmpty {
            var from = ConfigReference()
            from.Network = call[CreateFlags.configFrom]
            request.ConfigFrom = from
        }
        if call.flags.isGiven(CreateFlags.ipv4) { request.EnableIPv4 = call[CreateFlags.ipv4] }
        if call.flags.isGiven(CreateFlags.ipv6) { request.EnableIPv6 = call[CreateFlags.ipv6] }
        request.Labels = EnvironmentList.labels(call[CreateFlags.label])
        request.Options = EnvironmentList.labels(call[CreateFlags.option])
        var ipam = IPAM()
        ipam.Driver = call[CreateFlags.ipamDriver]
        ipam.Options = EnvironmentList.labels(call[CreateFlags.ipamOption])
        ipam.Config = try SubnetFlags(
            subnets: split(call[CreateFlags.subnet]), ranges: split(call[CreateFlags.ipRange]),
            gateways: split(call[CreateFlags.gateway]), addresses: EnvironmentList.labels(call[CreateFlags.auxAddress])
        ).configurations()
        request.IPAM = ipam
        return request
    }

    /// Each of these flags takes several values separated by commas, too.
    private static func split(_ values: [String]) -> [String] {
        values.flatMap { $0.split(separator: ",").map(String.init) }
    }
}
