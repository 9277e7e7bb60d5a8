import Linux

/// What is published of a container, on this network.
extension Network {
    var publishesPorts: Bool { definition.isBridge && !definition.isInternal }

    /// The ports of the host that it means; none where the network is routed in all families of its own.
    func publishable(_ port: PublishedPort) throws -> [PublishedPort] {
        let routed = definition.routedFamilies
        if routed.isEmpty { return [addressed(port)] }
        guard port.hostAddress.isEmpty else {
            guard let address = IPAddress(port.hostAddress), routed.contains(address.family) else { return [port] }
            guard address.isUnspecified else { throw Self.translatesNothing(port, address) }
            return []
        }
        return definition.families.filter { !routed.contains($0) }.compactMap { family in
            var port = port
            port.hostAddress = definition.settings.publishAddress
            if port.hostAddress.isEmpty { port.hostAddress = family.everywhere }
            return IPAddress(port.hostAddress)?.family == family ? port : nil
        }
    }

    private static func translatesNothing(_ port: PublishedPort, _ address: IPAddress) -> NetworkError {
        let own = address.isV4 ? "\(address)" : "[\(address)]"
        let wanted = port.hostPort == 0 ? "" : port.lastHostPort == 0 ? "\(port.hostPort)" : "\(port.hostPort)-\(port.lastHostPort)"
        let (all, family) = address.isV4 ? ("0.0.0.0", "IPv4") : ("[::]", "IPv6")
        let number = port.containerPort
        return .refused(
            .invalid,
            "NAT is disabled, omit host address in port mapping \(own):\(wanted):\(number)/\(port.proto.rawValue), or use \(all)::\(number) to open port \(number) for \(family)-only"
        )
    }

    /// With the network's own address of the host where none is named; empty is all.
    private func addressed(_ port: PublishedPort) -> PublishedPort {
        var port = port
        if port.hostAddress.isEmpty { port.hostAddress = definition.ipv4 == nil ? "::" : definition.settings.publishAddress }
        return port
    }

    /// What of the ports is open at the container's own addresses; nil for nothing.
    func openPorts(_ ports: [PublishedPort]) -> [PublishedPort]? {
        let open = definition.routedFamilies.flatMap { family in
            ports.filter { port in
                guard let address = IPAddress(port.hostAddress) else { return port.hostAddress.isEmpty }
                return address.isUnspecified && address.family == family
            }.map { port in
                var open = PublishedPort(hostAddress: family.everywhere, containerPort: port.containerPort, proto: port.proto)
                open.count = port.count
                return open
            }
        }
        return open.isEmpty ? nil : open
    }
}
