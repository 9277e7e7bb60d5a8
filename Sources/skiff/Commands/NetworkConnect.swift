import DockerAPI
import EngineClient

extension Command {
    static func connectNetwork() -> Command {
        let alias = Flag<[String]>.list("alias", as: "stringSlice", "Name of the container in the network")
        let driverOption = Flag<[String]>.list("driver-opt", as: "stringSlice", "Option of the driver for this container")
        let priority = Flag<Int64?>.integer("gw-priority", "The network of the highest priority gives the default route")
        let address = Flag<String>.text("ip", as: "ip", "IPv4 address")
        let address6 = Flag<String>.text("ip6", as: "ip", "IPv6 address")
        let link = Flag<[String]>.list("link", "Know another container by a name: container[:alias]")
        let linkLocal = Flag<[String]>.list("link-local-ip", as: "ipSlice", "Link-local address")
        return Command(
            name: "connect", usage: "[OPTIONS] NETWORK CONTAINER", summary: "Connect a container to a network",
            arguments: .exactly(2), flags: [alias, driverOption, priority, address, address6, link, linkLocal]
        ) { call in
            var settings = EndpointSettings()
            var addresses = EndpointIPAMConfig()
            if !call[address].isEmpty { addresses.IPv4Address = call[address] }
            if !call[address6].isEmpty { addresses.IPv6Address = call[address6] }
            if !call[linkLocal].isEmpty { addresses.LinkLocalIPs = call[linkLocal] }
            settings.IPAMConfig = addresses
            if !call[alias].isEmpty { settings.Aliases = call[alias].flatMap { $0.split(separator: ",").map(String.init) } }
            if !call[link].isEmpty { settings.Links = call[link] }
            if !call[driverOption].isEmpty { settings.DriverOpts = EnvironmentList.labels(call[driverOption]) }
            settings.GwPriority = call[priority]
            var request = NetworkConnectRequest()
            request.Container = call.arguments[1]
            request.EndpointConfig = settings
            let path = "/networks/\(EngineRequest.escaped(call.arguments[0]))/connect"
            try await call.program.engine.send(EngineRequest(.post, path, body: try EngineClient.json(request)))
            return 0
        }
    }

    static func disconnectNetwork() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Do not complain when it is not connected any more")
        return Command(
            name: "disconnect", usage: "[OPTIONS] NETWORK CONTAINER", summary: "Disconnect a container from a network",
            arguments: .exactly(2), flags: [force]
        ) { call in
            var request = NetworkDisconnectRequest()
            request.Container = call.arguments[1]
            request.Force = call[force]
            let path = "/networks/\(EngineRequest.escaped(call.arguments[0]))/disconnect"
            try await call.program.engine.send(EngineRequest(.post, path, body: try EngineClient.json(request)))
            return 0
        }
    }

    static func removeNetwork() -> Command {
        let force = Flag<Bool>.toggle("force", short: "f", "Do not complain about missing ones")
        return Command(
            name: "rm", usage: "NETWORK [NETWORK...]", summary: "Remove networks", arguments: .atLeast(1), flags: [force]
        ) { call in
            try await call.program.forEach(call.arguments) { name in
                do {
                    try await call.program.engine.send(EngineRequest(.delete, "/networks/\(EngineRequest.escaped(name))"))
                } catch let error as EngineClientError where call[force] && error.status == 404 {
                    return  // It is gone, as wished.
                }
                try call.program.print(name)
            }
        }
    }
}
