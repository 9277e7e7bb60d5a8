import Linux

/// The device of a network on the host, whatever the driver. Everything here blocks.
enum NetworkDevice {
    /// Finds or makes it, with so many further bridges at least. The definition with what was found.
    static func make(_ definition: NetworkDefinition, segments: Int = 0) throws -> NetworkDefinition {
        var found = definition
        guard definition.isBridge else {
            try ParentDevice.make(&found)
            return found
        }
        try BridgeDevice.make(&found)
        found.segments = try BridgeSegment.all(of: found, atLeast: segments)
        return found
    }

    static func remove(_ definition: NetworkDefinition) throws {
        if definition.isBridge {
            try BridgeSegment.removeAll(networkID: definition.id)
            try BridgeDevice.remove(definition.device)
        } else {
            try ParentDevice.remove(definition.device)
        }
    }
}

/// What of the host decides about subnets.
struct HostRoutes: Sendable {
    let routes: [Route]
    let hasIPv6: Bool
    /// The link of a device that is there already.
    let ownLink: UInt32?

    static func read(ownDevice: String) throws -> HostRoutes {
        var socket = try RouteSocket()
        let hasIPv6 = try BridgeDevice.hostHasIPv6
        let routes = try socket.routes(.v4) + (hasIPv6 ? socket.routes(.v6) : [])
        return HostRoutes(routes: routes, hasIPv6: hasIPv6, ownLink: try socket.link(named: ownDevice)?.index)
    }
}
