import DockerAPI
import Networking

/// Turns what a request says about networks into the networks that the container belongs to.
struct NetworkResolution {
    let networks: Networks
    let registry: ContainerRegistry

    func resolve(_ config: HostConfig, _ networking: NetworkingConfig?, macAddress: String = "") async throws -> [NetworkAttachment] {
        let mode = config.NetworkMode ?? Networks.defaultNetwork
        let asked = networking?.EndpointsConfig ?? [:]
        if mode.hasPrefix("container:") {
            _ = try await registry.find(String(mode.dropFirst(10)))
            guard (config.PortBindings ?? [:]).isEmpty, config.PublishAllPorts != true else {
                throw EngineError(.invalidArgument, "conflicting options: port publishing and the container type network mode")
            }
        }
        if mode.hasPrefix("container:") || mode == "host" || mode == "none" {
            guard asked.keys.allSatisfy({ $0 == mode || $0 == "default" }), (config.Links ?? []).isEmpty else {
                throw EngineError(
                    .invalidArgument, "conflicting options: container of network mode \(mode.prefix(9)) cannot be connected to other networks")
            }
            return []
        }
        var attachments = [try await attachment(mode, asked[mode] ?? asked["default"] ?? EndpointSettings())]
        for (name, settings) in asked.sorted(by: { $0.key < $1.key }) where name != mode && name != "default" {
            let further = try await attachment(name, settings)
            if let index = attachments.firstIndex(where: { $0.networkID == further.networkID }) {
                attachments[index].settings = settings
            } else {
                attachments.append(further)
            }
        }
        try await add(links: config.Links ?? [], to: &attachments[0])
        if (attachments[0].settings.MacAddress ?? "").isEmpty, !macAddress.isEmpty { attachments[0].settings.MacAddress = macAddress }
        for attachment in attachments { try await check(attachment) }
        return attachments
    }

    func attachment(_ name: String, _ settings: EndpointSettings) async throws -> NetworkAttachment {
        let network: NetworkInfo
        do {
            network = try await networks.find(name)
        } catch let error as NetworkError {
            // Not as "not found": clients take that for the image, and would pull it.
            let wrapped = EngineError.wrapping(error)
            throw EngineError(wrapped.kind == .notFound ? .invalidArgument : wrapped.kind, wrapped.message)
        }
        return NetworkAttachment(networkID: network.id, networkName: network.name, settings: settings)
    }

    private func add(links: [String], to attachment: inout NetworkAttachment) async throws {
        let known = Set(attachment.settings.Links ?? [])
        let new = links.filter { !known.contains($0) }
        if !new.isEmpty { attachment.settings.Links = (attachment.settings.Links ?? []) + new }
    }

    func check(_ attachment: NetworkAttachment) async throws {
        let settings = attachment.settings
        if attachment.networkName == Networks.defaultNetwork { try Self.checkDefault(settings) }
        for address in settings.IPAMConfig?.LinkLocalIPs ?? [] where !LinkLocalAddress.isValid(address) {
            throw EngineError(.invalidArgument, "invalid endpoint settings:\ninvalid link-local IP address: \(address)")
        }
        do {
            _ = try EndpointOptions(settings.DriverOpts ?? [:])
        } catch {
            throw EngineError.wrapping(error)
        }
        if let address = settings.MacAddress, !address.isEmpty, !HardwareAddress.isValid(address) {
            throw EngineError(.invalidArgument, "invalid endpoint settings:\ninvalid MAC address: \(address)")
        }
        for alias in settings.Aliases ?? [] where alias.isEmpty || alias.utf8.count > 253 || alias.contains(where: \.isWhitespace) {
            throw EngineError(.invalidArgument, "invalid network alias: \"\(alias)\"")
        }
        for link in settings.Links ?? [] {
            do {
                _ = try await registry.find(NetworkLink(link).container)
            } catch {
                throw EngineError(.notFound, "could not get container for \(NetworkLink(link).container): \(error)")
            }
        }
    }

    /// The default network gives no addresses of one's choice and no aliases, as Docker's.
    private static func checkDefault(_ settings: EndpointSettings) throws(EngineError) {
        let addresses = [settings.IPAMConfig?.IPv4Address, settings.IPAMConfig?.IPv6Address]
        if addresses.contains(where: { !($0 ?? "").isEmpty }) {
            throw EngineError(
                .invalidArgument, "invalid config for network bridge: user specified IP address is supported on user defined networks only")
        }
        if !(settings.Aliases ?? []).isEmpty {
            throw EngineError(
                .invalidArgument,
                "invalid config for network bridge: network-scoped aliases are only supported for user-defined networks")
        }
    }
}

/// `--link CONTAINER[:ALIAS]`
struct NetworkLink {
    let container: String
    let alias: String

    init(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map {
            $0.hasPrefix("/") ? String($0.dropFirst()) : String($0)
        }
        container = parts.first ?? ""
        // Docker's database form ends with a path: `/other/alias`.
        alias = parts.count > 1 ? String(parts[1].split(separator: "/").last ?? "") : container
    }
}
