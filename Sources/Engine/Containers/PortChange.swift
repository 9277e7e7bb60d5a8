import DockerAPI
import Networking

/// What an update changes in the published ports of a container: which of those that are open close, which open besides, and
/// what its next start is to publish.
struct PortChange {
    private(set) var hostConfig: HostConfig
    private(set) var adding: [PublishedPort] = []
    private(set) var removing: [PublishedPort] = []

    /// Whether ports are named at all, open ones of the host or not.
    private(set) var isAsked = false

    var isEmpty: Bool { adding.isEmpty && removing.isEmpty }

    /// `live` are the ports that are open, with the numbers that were chosen; none of a container that does not run.
    init(_ update: ContainerUpdateRequest, _ record: ContainerRecord, live: [PublishedPort]) throws {
        hostConfig = record.hostConfig
        let (added, removed) = (update.PortBindings ?? [:], update.PortBindingsRemoved ?? [:])
        if added.isEmpty, removed.isEmpty { return }
        isAsked = true
        try PortBindings.checkNumber(added)
        try PortBindings.checkNumber(removed)
        let mode = hostConfig.NetworkMode ?? Networks.defaultNetwork
        guard !["host", "none"].contains(mode), !mode.hasPrefix("container:") else {
            throw EngineError(.invalidArgument, "conflicting options: port publishing and the network mode \(mode.prefix(9))")
        }
        // Ports that were asked for by -P become ports like all others, or the next start would publish them all again.
        if !removed.isEmpty, hostConfig.PublishAllPorts == true { try nameExposedPorts(record.config) }
        // Each port alone, since a part of a run may go.
        hostConfig.PortBindings = PortRanges.unfolded(hostConfig.PortBindings ?? [:])
        // What is open and not going to be closed, by the port of the container.
        var open = Dictionary(grouping: live.unfolded, by: \.key)
        for (key, bindings) in PortRanges.unfolded(removed).sorted(by: { $0.key < $1.key }) {
            for binding in bindings ?? [PortBinding()] { try remove(key, binding, &open) }
        }
        for (key, bindings) in PortRanges.unfolded(added).sorted(by: { $0.key < $1.key }) {
            for binding in bindings ?? [PortBinding()] { try add(key, binding) }
        }
        removing = removing.folded
        hostConfig.PortBindings = PortRanges.folded(hostConfig.PortBindings ?? [:])
        var asked = HostConfig()
        asked.PortBindings = added
        adding = try PortBindings(config: ContainerConfig(), hostConfig: asked).resolve()
    }

    private mutating func nameExposedPorts(_ config: ContainerConfig) throws {
        var all = PortRanges.unfolded(hostConfig.PortBindings ?? [:])
        for port in try PortBindings(config: config, hostConfig: hostConfig).resolve().unfolded {
            let key = port.key
            if (all[key] ?? nil) == nil { all[key] = [PortBinding()] }
        }
        hostConfig.PortBindings = all
        hostConfig.PublishAllPorts = false
    }

    private mutating func add(_ key: String, _ binding: PortBinding) throws {
        let (port, proto) = try PortBindings.parse(key)
        let key = "\(port)/\(proto.rawValue)"
        let present = (hostConfig.PortBindings?[key] ?? nil) ?? []
        let isFixed = !(binding.HostPort ?? "").isEmpty
        guard !isFixed || !present.contains(where: { $0.HostPort == binding.HostPort && ($0.HostIp ?? "") == (binding.HostIp ?? "") }) else {
            throw EngineError(.conflict, "port \(Self.text(key, binding)) is already published by this container")
        }
        hostConfig.PortBindings?[key] = .some(present + [binding])
    }

    private mutating func remove(_ key: String, _ wanted: PortBinding, _ live: inout [String: [PublishedPort]]) throws {
        let (port, proto) = try PortBindings.parse(key)
        let key = "\(port)/\(proto.rawValue)"
        let (host, address) = (wanted.HostPort ?? "", wanted.HostIp ?? "")
        let (first, last) = try PortBindings.hostPorts(host)
        func isMeant(_ number: UInt16?, _ from: String) -> Bool {
            (host.isEmpty || number.map { $0 == first || (first...max(first, last)).contains($0) } ?? false) && (address.isEmpty || from == address)
        }
        let present = live[key] ?? []
        let open = present.filter { isMeant($0.hostPort, $0.hostAddress) }
        live[key] = present.filter { !isMeant($0.hostPort, $0.hostAddress) }
        var kept = (hostConfig.PortBindings?[key] ?? nil) ?? []
        let before = kept.count
        kept.removeAll { isMeant(UInt16($0.HostPort ?? ""), $0.HostIp ?? "") || $0.HostPort == host && ($0.HostIp ?? "") == address }
        // One whose number was chosen stands there without it.
        if kept.count == before, !open.isEmpty,
            let index = kept.firstIndex(where: { UInt16($0.HostPort ?? "") == nil && (address.isEmpty || ($0.HostIp ?? "") == address) })
        {
            kept.remove(at: index)
        }
        guard kept.count < before || !open.isEmpty else {
            throw EngineError(.invalidArgument, "port \(Self.text(key, wanted)) is not published")
        }
        removing += open
        hostConfig.PortBindings?[key] = kept.isEmpty ? nil : .some(kept)
    }

    /// For the event: what is open now and was not, and the other way round.
    func eventAttributes(opened: [PublishedPort]) -> [String: String] {
        var attributes: [String: String] = [:]
        if !opened.isEmpty { attributes["published"] = opened.map(\.text).joined(separator: ",") }
        if !removing.isEmpty { attributes["unpublished"] = removing.map(\.text).joined(separator: ",") }
        return attributes
    }

    /// `127.0.0.1:8080:80/tcp`
    static func text(_ key: String, _ binding: PortBinding) -> String {
        let (host, address) = (binding.HostPort ?? "", binding.HostIp ?? "")
        let shown = address.contains(":") ? "[\(address)]" : address
        return (address.isEmpty ? "" : shown + ":") + (host.isEmpty && address.isEmpty ? "" : host + ":") + key
    }
}

extension PublishedPort {
    /// `80/tcp`, of the first port of a run.
    fileprivate var key: String { "\(containerPort)/\(proto.rawValue)" }

    /// `127.0.0.1:8080:80/tcp`, `20000-29999:20000-29999/tcp`
    var text: String {
        let shown = hostAddress.contains(":") ? "[\(hostAddress)]" : hostAddress
        return (hostAddress.isEmpty ? "" : shown + ":") + "\(hostPorts.text):\(containerPorts.text)/\(proto.rawValue)"
    }
}

extension ClosedRange<UInt16> {
    /// `80`, `8000-8099`
    var text: String { count == 1 ? "\(lowerBound)" : "\(lowerBound)-\(upperBound)" }
}
