import Linux
import Logging
import Synchronization

extension Network {
    /// The bridge that an endpoint's cable leads to, made where all others are full.
    func bridge(of endpoint: EndpointInfo) async throws -> UInt32 {
        guard definition.isBridge else { return definition.link }
        guard definition.link != 0 else { throw NetworkError.unexpected("network device \(device) of network \(name) is not there") }
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
        try await begin(change).value
    }

    /// Does something while no bridge of the network comes or goes.
    private func holdingBridges(_ body: @escaping @Sendable (Network) async throws -> Void) async throws {
        while let segmentChange { _ = await segmentChange.result }
        try await begin(body).value
    }

    private func begin(_ change: @escaping @Sendable (Network) async throws -> Void) -> Task<Void, any Error> {
        let task = Task {
            defer { segmentChange = nil }
            try await change(self)
        }
        segmentChange = task
        return task
    }

    private func addSegment() async throws {
        let number = definition.segments.count + 1
        let name = BridgeSegment(number: number, networkID: id).device
        segmentDevices.withLock { _ = $0.insert(name) }
        do {
            let segment = try await parts.host.run { [parts, definition, id] in
                let segment = try BridgeSegment.make(number, of: definition)
                // No frame goes through it before there are rules for it.
                try parts.firewall.addSegment(name, of: id)
                parts.firewall.passForward(parts.logger)
                try segment.activate()
                return segment
            }
            definition.segments.append(segment)
        } catch {
            // What was made of it is found by the next who needs it.
            segmentDevices.withLock { _ = $0.remove(name) }
            throw error
        }
    }

    /// The device goes first: as long as it is there, so are its rules.
    private func removeLastSegment() async throws {
        guard places.canDoWithout(definition.segments.count), let segment = definition.segments.popLast() else { return }
        segmentDevices.withLock { _ = $0.remove(segment.device) }
        try await parts.host.run { [parts, id] in
            try segment.remove()
            try parts.firewall.removeSegment(segment.device, of: id)
            parts.firewall.passForward(parts.logger)
        }
    }

    // MARK: Repair

    /// Finds or makes the network's devices, down as long as they are new.
    func makeDevices() async throws {
        try await holdingBridges { try await $0.makeDevicesNow() }
    }

    private func makeDevicesNow() async throws {
        let segments = max(definition.segments.count, places.needed(for: infos().count))
        update(try await parts.host.run { [definition] in try NetworkDevice.make(definition, segments: segments) })
    }

    /// Puts the containers' cables where they belong and sets the bridges up. Comes after the firewall.
    func activate(removingOthers: Bool) async throws {
        try await holdingBridges { try await $0.activateNow(removingOthers) }
        await removeEmptyBridges()
    }

    private func activateNow(_ removingOthers: Bool) async throws {
        // Those that were made anew are down until their ports are as they have to be.
        let found = try await parts.host.run { [definition, places, infos = infos(), logger = parts.logger] in
            let found = try BridgeDevice.adopt(infos, of: definition, places: places, removingOthers: removingOthers, logger)
            try BridgeDevice.activate(definition)
            return found
        }
        let present = Set(endpoints.values.compactMap(\.info?.hostInterface))
        for (interface, number) in found where present.contains(interface) { places.note(interface, number) }
    }

    /// Whether it is a device that the network needs besides its first bridge.
    nonisolated func hasSegmentDevice(_ device: String) -> Bool {
        guard BridgeSegment.isDevice(device, of: id) else { return false }
        return segmentDevices.withLock { $0.contains("sg" + device.dropFirst(2)) }
    }
}
