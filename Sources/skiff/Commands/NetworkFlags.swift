import DockerAPI

/// `--network`, short (`host`) or long (`name=back,alias=db`), and the flags that go with the first one.
struct NetworkFlags {
    private struct Attachment {
        var name: String
        var settings = EndpointSettings()
        var hasSettings = false
    }

    private let attachments: [Attachment]

    init(_ call: Invocation) throws {
        var attachments = try call[HostFlags.network].map { try Self.attachment($0) }
        if attachments.isEmpty { attachments = [Attachment(name: "default")] }
        Self.add(call, to: &attachments[0])
        self.attachments = attachments
    }

    /// The network that the container begins with.
    var mode: String { attachments[0].name }

    func networking() throws -> NetworkingConfig? {
        guard attachments.count > 1 || attachments[0].hasSettings else { return nil }
        var config = NetworkingConfig()
        config.EndpointsConfig = Dictionary(attachments.map { ($0.name, $0.settings) }, uniquingKeysWith: { first, _ in first })
        return config
    }

    private static func attachment(_ text: String) throws -> Attachment {
        guard text.contains("=") else {
            guard !text.isEmpty else { throw UsageError("no name set for network") }
            return Attachment(name: text)
        }
        var attachment = Attachment(name: "")
        for field in CommaList.fields(text) {
            guard let value = field.value else { throw UsageError("invalid field \(field.key)") }
            try set(field.key, value, &attachment)
        }
        guard !attachment.name.isEmpty else { throw UsageError("no name set for network") }
        return attachment
    }

    private static func set(_ key: String, _ value: String, _ attachment: inout Attachment) throws {
        var addresses = attachment.settings.IPAMConfig ?? EndpointIPAMConfig()
        attachment.hasSettings = attachment.hasSettings || key != "name"
        switch key {
        case "name": return attachment.name = value
        case "alias": return attachment.settings.Aliases = (attachment.settings.Aliases ?? []) + [value]
        case "mac-address": return attachment.settings.MacAddress = value
        case "driver-opt":
            let options = EnvironmentList.labels([value])
            return attachment.settings.DriverOpts = (attachment.settings.DriverOpts ?? [:]).merging(options) { $1 }
        case "gw-priority":
            guard let priority = Int64(value) else { throw UsageError("invalid gw-priority (\(value))") }
            return attachment.settings.GwPriority = priority
        case "ip": addresses.IPv4Address = value
        case "ip6": addresses.IPv6Address = value
        case "link-local-ip": addresses.LinkLocalIPs = (addresses.LinkLocalIPs ?? []) + [value]
        default: throw UsageError("invalid field key \(key)")
        }
        attachment.settings.IPAMConfig = addresses
    }

    private static func add(_ call: Invocation, to attachment: inout Attachment) {
        let aliases = call[HostFlags.networkAlias]
        if !aliases.isEmpty { attachment.settings.Aliases = (attachment.settings.Aliases ?? []) + aliases }
        let (ip, ip6, mac) = (call[HostFlags.address], call[HostFlags.address6], call[HostFlags.macAddress])
        let linkLocal = call[HostFlags.linkLocalAddress]
        if !ip.isEmpty || !ip6.isEmpty || !linkLocal.isEmpty {
            var addresses = attachment.settings.IPAMConfig ?? EndpointIPAMConfig()
            if !ip.isEmpty { addresses.IPv4Address = ip }
            if !ip6.isEmpty { addresses.IPv6Address = ip6 }
            if !linkLocal.isEmpty { addresses.LinkLocalIPs = linkLocal }
            attachment.settings.IPAMConfig = addresses
        }
        if !mac.isEmpty { attachment.settings.MacAddress = mac }
        attachment.hasSettings = attachment.hasSettings || !(aliases.isEmpty && ip.isEmpty && ip6.isEmpty && mac.isEmpty && linkLocal.isEmpty)
    }
}
