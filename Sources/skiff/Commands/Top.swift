import DockerAPI
import EngineClient

extension Command {
    static func top() -> Command {
        Command(
            name: "top", usage: "CONTAINER [ps OPTIONS]", summary: "Show the processes of a container",
            arguments: .atLeast(1), stopsAtFirstArgument: true
        ) { call in
            let arguments = call.arguments.dropFirst().joined(separator: " ")
            let answer = try await call.program.engine.get(
                ContainerTopResponse.self,
                EngineRequest(
                    .get, "/containers/\(EngineRequest.escaped(call.arguments[0]))/top",
                    query: arguments.isEmpty ? [] : [("ps_args", arguments)]))
            let rows = [answer.Titles ?? []] + (answer.Processes ?? [])
            try call.program.write(Table.layOut(rows, narrowest: 20))
            return 0
        }
    }

    static func port() -> Command {
        Command(
            name: "port", usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
            summary: "Show where the ports of a container are published", arguments: .between(1, 2)
        ) { call in
            let container = try await ContainerLookup(call.program.engine).inspect(call.arguments[0])
            let ports = container.NetworkSettings?.Ports ?? [:]
            func places(_ bindings: [PortBinding]) -> [String] {
                bindings.map { binding in
                    let host = binding.HostIp ?? ""
                    return (host.contains(":") ? "[\(host)]" : host) + ":" + (binding.HostPort ?? "")
                }
            }
            if call.arguments.count == 2 {
                let key = call.arguments[1].contains("/") ? call.arguments[1] : call.arguments[1] + "/tcp"
                guard let bindings = ports[key] ?? nil, !bindings.isEmpty else {
                    throw CommandFailure("Error: No public port '\(call.arguments[1])' published for \(call.arguments[0])")
                }
                for place in places(bindings) { try call.program.print(place) }
                return 0
            }
            let lines = ports.flatMap { port, bindings in places(bindings ?? []).map { (port, $0) } }
            let sorted = lines.sorted { a, b in
                let (first, second) = (Int(a.0.prefix(while: \.isNumber)) ?? 0, Int(b.0.prefix(while: \.isNumber)) ?? 0)
                return (first, a.0, a.1) < (second, b.0, b.1)
            }
            for (port, place) in sorted { try call.program.print("\(port) -> \(place)") }
            return 0
        }
    }

    static func diff() -> Command {
        Command(
            name: "diff", usage: "CONTAINER", summary: "Show what a container changed in its filesystem",
            arguments: .exactly(1)
        ) { call in
            let changes = try await call.program.engine.get(
                [FilesystemChange]?.self,
                EngineRequest(.get, "/containers/\(EngineRequest.escaped(call.arguments[0]))/changes"))
            for change in changes ?? [] {
                let kind = ["C", "A", "D"][min(max(change.Kind ?? 0, 0), 2)]
                try call.program.print("\(kind) \(change.Path ?? "")")
            }
            return 0
        }
    }
}
