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

    /// Exposed ports, with their bindings where they are published; runs of ports as one, where no other port is among them.
    private func ports() -> PortMap {
        guard isLive else { return [:] }
        // What is open at the container's own addresses is no run of the host's ports.
        let published = endpoints.flatMap { $0.ports + ($0.openPorts ?? []).unfolded }
        let exposed = (record.config.ExposedPorts ?? [:]).keys
        let isPlain = Self.areApart(published.map(\.containerKey) + exposed)
        var map: PortMap = [:]
        for key in isPlain ? Array(exposed) : PortRanges.unfolded(exposed) {
            map.updateValue(nil, forKey: key.contains("/") ? key : key + "/tcp")
        }
        for port in isPlain ? published : published.unfolded {
            let bindings = port.hostAddresses.map { address in
                var binding = PortBinding()
                binding.HostIp = address
                binding.HostPort = port.hostPort == 0 ? "" : port.hostPorts.text
                return binding
            }
            map.updateValue(((map[port.containerKey] ?? nil) ?? []) + bindings, forKey: port.containerKey)
        }
        return map
    }

    /// Whether of different keys none has a port of another one.
    private static func areApart(_ texts: [String]) -> Bool {
        let keys = Set(texts.compactMap { PortKey($0) }).sorted { ($0.proto, $0.first) < ($1.proto, $1.first) }
        return zip(keys, keys.dropFirst()).allSatisfy { $0.proto != $1.proto || $0.last < $1.first }
    }

    /// Runs of ports as one.
    func portRows() -> [PortRow] {
        guard isLive else { return [] }
        var rows: [PortRow] = []
        for (key, bindings) in ports().sorted(by: { $0.key < $1.key }) {
            guard let (inside, proto) = try? PortBindings.parseRun(key) else { continue }  // An odd EXPOSE of an image is not shown.
            for binding in bindings ?? [PortBinding()] {
                let host = (binding.HostPort ?? "").split(separator: "-").first.flatMap { UInt16($0) }
                // What has no port of the host is shown as what is exposed alone.
                let row = PortRow(address: host == nil ? nil : binding.HostIp, inside: inside, host: host, proto: proto.rawValue)
                if rows.last != row { rows.append(row) }
            }
        }
        return rows
    }
}

/// A row of a list's ports, or a run of rows.
struct PortRow: Equatable {
    let address: String?
    let inside: ClosedRange<UInt16>
    /// The first port of the host.
    let host: UInt16?
    let proto: String

    var summaries: [PortSummary] {
        inside.map { port in
            var summary = PortSummary()
            summary.IP = address
            summary.PrivatePort = port
            summary.PublicPort = host.map { $0 + (port - inside.lowerBound) }
            summary.`Type` = proto
            return summary
        }
    }

    /// The same as JSON, one after another.
    func write(to bytes: inout [UInt8], isFirst: Bool) {
        let start = (address.map { "{\"IP\":\"\($0)\",\"PrivatePort\":" } ?? "{\"PrivatePort\":")
        for port in inside {
            if !isFirst || port > inside.lowerBound { bytes.append(UInt8(ascii: ",")) }
            bytes += start.utf8
            bytes += "\(port)".utf8
            if let host { bytes += ",\"PublicPort\":\(host + (port - inside.lowerBound))".utf8 }
            bytes += ",\"Type\":\"\(proto)\"}".utf8
        }
    }
}

extension PublishedPort {
    /// `80/tcp`, `8000-8099/udp`
    fileprivate var containerKey: String { "\(containerPorts.text)/\(proto.rawValue)" }
}
