import DockerAPI
import Networking

/// What `inspect` and `ps` show of a container's network.
struct NetworkView {
    let record: ContainerRecord
    let isLive: Bool

    private var endpoint: EndpointInfo? { isLive ? record.endpoint : nil }

    func settings() -> NetworkSettings {
        var settings = NetworkSettings()
        settings.Bridge = ""
        settings.SandboxID = ""
        settings.SandboxKey = ""
        settings.HairpinMode = false
        settings.LinkLocalIPv6Address = ""
        settings.LinkLocalIPv6PrefixLen = 0
        settings.Ports = ports()
        let shown = endpointSettings()
        settings.EndpointID = shown.EndpointID
        settings.Gateway = shown.Gateway
        settings.GlobalIPv6Address = shown.GlobalIPv6Address
        settings.GlobalIPv6PrefixLen = shown.GlobalIPv6PrefixLen
        settings.IPAddress = shown.IPAddress
        settings.IPPrefixLen = shown.IPPrefixLen
        settings.IPv6Gateway = shown.IPv6Gateway
        settings.MacAddress = shown.MacAddress
        let mode = record.hostConfig.NetworkMode ?? "bridge"
        settings.Networks = mode.hasPrefix("container:") ? [:] : [mode: shown]
        return settings
    }

    private func endpointSettings() -> EndpointSettings {
        var shown = EndpointSettings()
        shown.EndpointID = endpoint?.endpointID ?? ""
        shown.NetworkID = endpoint?.networkID ?? ""
        shown.Gateway = endpoint?.ipv4Gateway ?? ""
        shown.IPAddress = endpoint?.ipv4 ?? ""
        shown.IPPrefixLen = endpoint?.ipv4PrefixLength ?? 0
        shown.IPv6Gateway = endpoint?.ipv6Gateway ?? ""
        shown.GlobalIPv6Address = endpoint?.ipv6 ?? ""
        shown.GlobalIPv6PrefixLen = endpoint?.ipv6PrefixLength ?? 0
        shown.MacAddress = endpoint?.macAddress ?? ""
        return shown
    }

    /// Exposed ports, with their bindings where they are published.
    private func ports() -> PortMap {
        guard isLive else { return [:] }
        var map: PortMap = [:]
        for key in (record.config.ExposedPorts ?? [:]).keys {
            map.updateValue(nil, forKey: key.contains("/") ? key : key + "/tcp")
        }
        for port in endpoint?.ports ?? [] {
            let bindings = port.hostAddresses.map { address in
                var binding = PortBinding()
                binding.HostIp = address
                binding.HostPort = "\(port.hostPort)"
                return binding
            }
            let key = "\(port.containerPort)/\(port.proto.rawValue)"
            map.updateValue(((map[key] ?? nil) ?? []) + bindings, forKey: key)
        }
        return map
    }

    func portSummaries() -> [PortSummary] {
        guard isLive else { return [] }
        var summaries: [PortSummary] = []
        for (key, bindings) in ports().sorted(by: { $0.key < $1.key }) {
            guard let (port, proto) = try? PortBindings.parse(key) else { continue }  // An odd EXPOSE of an image is not shown.
            for binding in bindings ?? [PortBinding()] {
                var summary = PortSummary()
                summary.IP = binding.HostIp
                summary.PrivatePort = port
                summary.PublicPort = binding.HostPort.flatMap { UInt16($0) }
                summary.`Type` = proto.rawValue
                summaries.append(summary)
            }
        }
        return summaries
    }
}
