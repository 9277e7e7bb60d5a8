import DockerAPI
import Networking

/// What `inspect` and `ps` show of a container's network.
struct NetworkView {
    let record: ContainerRecord
    let isLive: Bool

    private var endpoints: [EndpointInfo] { isLive ? record.endpoints : [] }
    /// The one that the old fields show: the default network's.
    private var standard: EndpointInfo? { endpoints.first { $0.networkName == Networks.defaultNetwork } }

    func settings() -> NetworkSettings {
        var settings = NetworkSettings()
        settings.Bridge = ""
        settings.SandboxID = ""
        settings.SandboxKey = ""
        settings.HairpinMode = false
        settings.LinkLocalIPv6Address = ""
        settings.LinkLocalIPv6PrefixLen = 0
        settings.Ports = ports()
        settings.EndpointID = standard?.endpointID ?? ""
        settings.Gateway = standard?.ipv4Gateway ?? ""
        settings.GlobalIPv6Address = standard?.ipv6 ?? ""
        settings.GlobalIPv6PrefixLen = standard?.ipv6PrefixLength ?? 0
        settings.IPAddress = standard?.ipv4 ?? ""
        settings.IPPrefixLen = standard?.ipv4PrefixLength ?? 0
        settings.IPv6Gateway = standard?.ipv6Gateway ?? ""
        settings.MacAddress = standard?.macAddress ?? ""
        settings.Networks = networks()
        return settings
    }

    private func networks() -> [String: EndpointSettings] {
        let mode = record.hostConfig.NetworkMode ?? "bridge"
        if mode == "host" || mode == "none" { return [mode: show(nil, EndpointSettings())] }
        return Dictionary(
            record.attachments.map { attachment in
                let endpoint = endpoints.first { $0.networkID == attachment.networkID }
                var shown = show(endpoint, attachment.settings)
                shown.NetworkID = endpoint?.networkID ?? attachment.networkID
                shown.DNSNames = record.names(attachment)
                return (attachment.networkName, shown)
            }, uniquingKeysWith: { first, _ in first })
    }

    private func show(_ endpoint: EndpointInfo?, _ asked: EndpointSettings) -> EndpointSettings {
        var shown = asked
        shown.EndpointID = endpoint?.endpointID ?? ""
        shown.NetworkID = endpoint?.networkID ?? ""
        shown.Gateway = endpoint?.ipv4Gateway ?? ""
        shown.IPAddress = endpoint?.ipv4 ?? ""
        shown.IPPrefixLen = endpoint?.ipv4PrefixLength ?? 0
        shown.IPv6Gateway = endpoint?.ipv6Gateway ?? ""
        shown.GlobalIPv6Address = endpoint?.ipv6 ?? ""
        shown.GlobalIPv6PrefixLen = endpoint?.ipv6PrefixLength ?? 0
        shown.MacAddress = endpoint?.macAddress ?? asked.MacAddress ?? ""
        shown.GwPriority = asked.GwPriority ?? 0
        return shown
    }

    /// Exposed ports, with their bindings where they are published.
    private func ports() -> PortMap {
        guard isLive else { return [:] }
        var map: PortMap = [:]
        for key in (record.config.ExposedPorts ?? [:]).keys {
            map.updateValue(nil, forKey: key.contains("/") ? key : key + "/tcp")
        }
        for port in endpoints.flatMap(\.ports) {
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
