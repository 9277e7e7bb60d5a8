import DockerAPI
import EngineClient
import FoundationEssentials
import OCI

extension Command {
    static func info() -> Command {
        let format = Flag<String>.text("format", short: "f", "json, or a template in Go's language")
        return Command(
            name: "info", usage: "[OPTIONS]", summary: "Show what the engine tells about itself and its host",
            arguments: .none, flags: [format]
        ) { call in
            guard call[format].isEmpty else {
                let bytes = try await call.program.engine.send(EngineRequest(.get, "/info"))
                let template = try Template(call[format] == "json" ? "{{json .}}" : call[format])
                try call.program.print(try template.render(TemplateValue(try JSONValue.parse(bytes))))
                return 0
            }
            try call.program.write("Client:\n Version:    \(SkiffVersion.number)\n Context:    default\n Debug Mode: false\n\n")
            let info = try await call.program.engine.get(SystemInfo.self, EngineRequest(.get, "/info"))
            try call.program.write("Server:\n\(InfoText(info).text)\n")
            for warning in info.Warnings ?? [] { try call.program.warn(warning) }
            return 0
        }
    }
}

private struct InfoText {
    private(set) var text = ""

    init(_ info: SystemInfo) {
        line("Containers", info.Containers)
        line(" Running", info.ContainersRunning)
        line(" Paused", info.ContainersPaused)
        line(" Stopped", info.ContainersStopped)
        line("Images", info.Images)
        line("Server Version", info.ServerVersion)
        line("Storage Driver", info.Driver)
        for pair in info.DriverStatus ?? [] where pair.count == 2 { line(" \(pair[0])", pair[1]) }
        line("Logging Driver", info.LoggingDriver)
        line("Cgroup Driver", info.CgroupDriver)
        line("Cgroup Version", info.CgroupVersion)
        addDrivers(info)
        line("Security Options", (info.SecurityOptions ?? []).isEmpty ? nil : "")
        for option in info.SecurityOptions ?? [] { addSecurity(option) }
        line("Kernel Version", info.KernelVersion)
        line("Operating System", info.OperatingSystem)
        line("OSType", info.OSType)
        line("Architecture", info.Architecture)
        line("CPUs", info.NCPU)
        line("Total Memory", info.MemTotal.map { HumanText.binarySize(Double($0)) })
        line("Name", info.Name)
        line("ID", info.ID)
        line("Docker Root Dir", info.DockerRootDir)
        line("Debug Mode", info.Debug)
        line("Experimental", info.ExperimentalBuild)
        line("Live Restore Enabled", info.LiveRestoreEnabled)
    }

    private mutating func addDrivers(_ info: SystemInfo) {
        if let plugins = info.Plugins {
            line("Plugins", "")
            line(" Volume", plugins.Volume?.joined(separator: " "))
            line(" Network", plugins.Network?.joined(separator: " "))
            line(" Log", plugins.Log?.joined(separator: " "))
        }
        line("Swarm", info.Swarm?.LocalNodeState)
        line("Runtimes", info.Runtimes.map { $0.keys.sorted().joined(separator: " ") })
        line("Default Runtime", info.DefaultRuntime)
        line("Init Binary", info.InitBinary)
    }

    /// `name=seccomp,profile=builtin` on two lines.
    private mutating func addSecurity(_ option: String) {
        for field in CommaList.fields(option) {
            if field.key == "name" { text += "  \(field.value ?? "")\n" } else { text += "   \(field.key.capitalizedFirst): \(field.value ?? "")\n" }
        }
    }

    private mutating func line(_ name: String, _ value: (some CustomStringConvertible)?) {
        guard let value else { return }
        let shown = value.description
        text += shown.isEmpty ? " \(name):\n" : " \(name): \(shown)\n"
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
