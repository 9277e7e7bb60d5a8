import Linux
import Logging
import Synchronization

extension Network {
    /// The bridge that an endpoint's cable leads to, made where all others are full.
    func bridge(of endpoint: EndpointInfo) async throws -> UInt32 {
        guard definition.isBridge else { return definition.link }
        while true {
            // Asked again after each wait: a bridge may have got room, or gone, and so may the endpoint.
            guard isCurrent(endpoint) else { throw NetworkError.notReserved(containerID: endpoint.containerID) }
            let number = places.take(endpoint.hostInterface)
            if number == 0 { return definition.link }
            if number <= definition.segments.count { return definition.segments[number - 1].link }
            try await changeSegments { try await $0.addSegment() }
        }
    }

    /// The further bridges that nobody is on any more go.
    func removeEmptyBridges() async {
        while !definition.segments.isEmpty, segmentChange == nil, places.canDoWithout(definition.segments.count) {
            do {
                try await changeSegments { try await $0.removeLastSegment() }
            } catch {
                parts.logger.warning("a bridge that nobody is on could not be removed", metadata: ["network": "\(name)", "error": "\(error)"])
                return
            }
        }
    }

    /// One change at a time; whoever finds one under way waits for it and looks again.
    private func changeSegments(_ change: @escaping @Sendable (Network) async throws -> Void) async throws {
        if let segmentChange {
            // Whether it could be made is told to whoever wanted it.
            _ = await segmentChange.result
            return
        }
        let task = Task {
            defer { segmentChange = nil }
            try await change(self)
        }
        segmentChange = task
        try await task.value
    }

    private func addSegment() async throws {
        let number = definition.segments.count + 1
        let name = BridgeSegment(number: number, networkID: id).device
        segmentDevices.withLock { _ = $0.insert(name) }
        let devices = definition.segments.map(\.device) + [name]
        let segment: BridgeSegment
        do {
            segment = try await parts.host.run { [parts, definition, id] in
                let segment = try BridgeSegment.make(number, of: definition)
                // No frame goes through it before there are rules for it.
                try parts.firewall.setSegments(devices, of: id)
                parts.firewall.passForward(parts.logger)
                try segment.activate()
                return segment
            }
        } catch {
            // What was made of it stays down, and is found by the next who needs it.
            segmentDevices.withLock { _ = $0.remove(name) }
            throw error
        }
        // Put back by a repair meanwhile, it is there already.
        if definition.segments.count < number { definition.segments.append(segment) }
    }

    private func removeLastSegment() async throws {
        guard places.canDoWithout(definition.segments.count), let segment = definition.segments.popLast() else { return }
        segmentDevices.withLock { _ = $0.remove(segment.device) }
        let devices = definition.segments.map(\.device)
        try await parts.host.run { [parts, id] in
            try segment.remove()
            try parts.firewall.setSegments(devices, of: id)
            parts.firewall.passForward(parts.logger)
        }
    }

    /// What was found on the host after a repair.
    func noteBridges(_ found: [String: Int]) async {
        let present = Set(endpoints.values.compactMap(\.info?.hostInterface))
        for (interface, number) in found where present.contains(interface) { places.note(interface, number) }
        await removeEmptyBridges()
    }

    /// Whether it is a device that the network needs besides its first bridge.
    nonisolated func hasSegmentDevice(_ device: String) -> Bool {
        guard BridgeSegment.isDevice(device, of: id) else { return false }
        return segmentDevices.withLock { $0.contains("sg" + device.dropFirst(2)) }
    }
}
