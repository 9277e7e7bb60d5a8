import DockerAPI
import EngineClient
import FoundationEssentials
import Linux
import OCI

extension Command {
    static func version() -> Command {
        let format = Flag<String>.text("format", short: "f", "json, or a template in Go's language")
        return Command(
            name: "version", usage: "[OPTIONS]", summary: "Show the version of the client and of the engine",
            arguments: .none, flags: [format]
        ) { call in
            var server: [UInt8]?
            var failure: (any Error)?
            do {
                server = try await call.program.engine.send(EngineRequest(.get, "/version"))
            } catch {
                failure = error
            }
            let client = ClientVersion(apiVersion: call.program.engine.usedVersion)
            if call[format].isEmpty {
                try call.program.write(client.text)
                if let server { try call.program.write("\n" + ServerVersionText.make(try decode(server))) }
            } else {
                let engine = try server.map { try JSONValue.parse($0) } ?? .null
                let value = JSONValue.object([("Client", client.json), ("Server", engine)])
                let template = try Template(call[format] == "json" ? "{{json .}}" : call[format])
                try call.program.print(try template.render(TemplateValue(value)))
            }
            if let failure { throw failure }
            return 0
        }
    }

    private static func decode(_ bytes: [UInt8]) throws -> SystemVersion {
        try JSONDecoder().decode(SystemVersion.self, from: Data(bytes))
    }
}

private struct ClientVersion {
    let apiVersion: String

    private var architecture: String {
        switch SystemName.current().machine {
        case "x86_64": "amd64"
        case "aarch64": "arm64"
        case let other: other
        }
    }

    private var members: [(String, String)] {
        [
            ("Version", SkiffVersion.number), ("ApiVersion", apiVersion), ("DefaultAPIVersion", EngineClient.apiVersion),
            ("Os", "linux"), ("Arch", architecture), ("Context", "default"),
        ]
    }

    var json: JSONValue { .object(members.map { ($0.0, .string($0.1)) }) }

    var text: String {
        let lines = [
            ("Version:", SkiffVersion.number), ("API version:", apiVersion), ("OS/Arch:", "linux/\(architecture)"),
            ("Context:", "default"),
        ]
        return "Client:\n" + lines.map { VersionLine.make($0.0, $0.1, indent: 1) }.joined()
    }
}

/// ` API version:       1.50`: the values of all lines stand below each other.
private enum VersionLine {
    static func make(_ name: String, _ value: String, indent: Int) -> String {
        let blanks = String(repeating: " ", count: indent)
        return blanks + name + String(repeating: " ", count: max(1, 20 - indent - name.count)) + value + "\n"
    }
}

private enum ServerVersionText {
    static func make(_ server: SystemVersion) -> String {
        var text = server.Platform?.Name.flatMap { $0.isEmpty ? nil : "Server: \($0)\n" } ?? "Server:\n"
        let components = server.Components ?? []
        guard !components.isEmpty else { return text + lines(server).map { VersionLine.make($0.0, $0.1, indent: 1) }.joined() }
        for component in components {
            text += " \(component.Name ?? ""):\n"
            if component.Name == "Engine" {
                text += lines(server).map { VersionLine.make($0.0, $0.1, indent: 2) }.joined()
            } else {
                text += VersionLine.make("Version:", component.Version ?? "", indent: 2)
                for (name, value) in (component.Details ?? [:]).sorted(by: { $0.key < $1.key }) {
                    text += VersionLine.make("\(name):", value, indent: 2)
                }
            }
        }
        return text
    }

    private static func lines(_ server: SystemVersion) -> [(String, String)] {
        let api = "\(server.ApiVersion ?? "") (minimum version \(server.MinAPIVersion ?? ""))"
        return [
            ("Version:", server.Version ?? ""), ("API version:", api), ("Go version:", server.GoVersion ?? ""),
            ("Git commit:", server.GitCommit ?? ""), ("Built:", server.BuildTime ?? ""),
            ("OS/Arch:", "\(server.Os ?? "")/\(server.Arch ?? "")"), ("Experimental:", "\(server.Experimental ?? false)"),
        ].filter { !$0.1.isEmpty }
    }
}
