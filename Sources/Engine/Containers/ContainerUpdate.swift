import Blocking
import DockerAPI
import Linux
import Networking
import OCI

extension Container {
    /// `docker update`: limits of a living container change in place. Answers warnings.
    func update(_ update: ContainerUpdateRequest) async throws -> [String] {
        // One after the other: each begins with what the one before has left.
        let before = lastUpdate
        let task = Task {
            _ = await before?.result
            return try await self.updateNow(update)
        }
        lastUpdate = task
        return try await task.value
    }

    private func updateNow(_ update: ContainerUpdateRequest) async throws -> [String] {
        // A start that has begun has read the old limits, and has no process yet that could get the new ones.
        await startSettled()
        var changed = try applied(update)
        switch phase {
        case .removing, .removed:
            throw EngineError(.conflict, "Cannot update container \(id): container is marked for removal and cannot be \"update\"")
        default: break
        }
        func portChange() throws -> PortChange {
            try PortChange(update, record, live: phase.process == nil ? [] : record.endpoints.flatMap(\.ports))
        }
        changed.setPorts(try portChange().hostConfig)
        let described = try DescriptionChange(update)
        let mounts = try MountsChange(update)
        var normalized = try HostConfigCheck(host: context.host).normalized(changed)
        try ContainerCreate.checkRestart(normalized, record.config)
        var warnings = try await KernelSupport().adapt(&normalized)
        // Looked at again: a start may have begun meanwhile, with other ports open. From here to the change nobody else acts.
        await startSettled()
        let ports = try portChange()
        normalized.setPorts(ports.hostConfig)
        normalized = mounts.applied(to: normalized)
        let (old, oldConfig) = (record.hostConfig, record.config)
        var undo = UndoStack()
        do {
            let opened = try await change(ports, &undo)
            try await change(rates: normalized, &undo)
            try await change(limits: normalized, &undo)
            try await change(mounts, &undo)
            record.hostConfig = normalized
            record.config.Volumes = mounts.applied(to: record.config.Volumes)
            if described.apply(to: &record.config), phase.isLive { warnings.append(DescriptionChange.warning) }
            try await save()
            // The volumes made for them belong to the container.
            if !mounts.isEmpty { try await blocking { [paths] in try NotedVolumes(in: paths.data).forget() } }
            publish("update", ports.eventAttributes(opened: opened))
        } catch {
            await undo.run(logger)
            (record.hostConfig, record.config) = (old, oldConfig)
            record.endpoints = await refreshed(record.endpoints)
            throw error
        }
        return warnings
    }

    private func change(limits: HostConfig, _ undo: inout UndoStack) async throws {
        let before = record.hostConfig
        undo.add("take the change of the limits back") { try await self.set(limits: before) }
        try await set(limits: limits)
    }

    private func set(limits: HostConfig) async throws {
        guard phase.process != nil else { return }
        let path = ContainerSpec.cgroup(record.hostConfig, id)
        let resources = try await blocking { try ContainerResources(hostConfig: limits, privileged: true).cgroupResources() }
        try await blocking { try Cgroup.open(path: path).widened(for: resources).update(resources) }
    }

    private func change(rates wanted: HostConfig, _ undo: inout UndoStack) async throws {
        let before = (record.hostConfig.NetworkInBps ?? 0, record.hostConfig.NetworkOutBps ?? 0)
        let after = (wanted.NetworkInBps ?? 0, wanted.NetworkOutBps ?? 0)
        guard phase.process != nil, before != after else { return }
        let networks = context.networks
        let id = id
        undo.add("take the change of the rates back") {
            _ = try await networks.setRates(containerID: id, receiving: before.0, sending: before.1)
        }
        do {
            let changed = try await networks.setRates(containerID: id, receiving: after.0, sending: after.1)
            // Others may have come and gone meanwhile.
            record.endpoints = record.endpoints.map { present in changed.first { $0.endpointID == present.endpointID } ?? present }
        } catch let error as NetworkError {
            throw await describe(error)
        }
    }

    /// Opens and closes ports of a container that runs. Those that were opened, with the numbers that were chosen.
    private func change(_ ports: PortChange, _ undo: inout UndoStack) async throws -> [PublishedPort] {
        // Those that are open at the container's own addresses are no ports of the host: the network says that they stay.
        let isRouted = ports.isAsked && record.endpoints.contains { $0.openPorts != nil }
        guard phase.process != nil, !ports.isEmpty || isRouted else { return [] }
        let before = Set(record.endpoints.flatMap(\.ports).unfolded)
        let networks = context.networks
        let id = id
        let changed: EndpointInfo
        do {
            changed = try await networks.changePorts(containerID: id, adding: ports.adding, removing: ports.removing)
        } catch let error as NetworkError {
            throw await describe(error)
        }
        record.endpoints = record.endpoints.map { $0.networkID == changed.networkID ? changed : $0 }
        let opened = changed.ports.unfolded.filter { !before.contains($0) }.folded
        undo.add("take the change of the ports back") {
            _ = try await networks.changePorts(containerID: id, adding: ports.removing, removing: opened)
        }
        return opened
    }

    private func applied(_ update: ContainerUpdateRequest) throws -> HostConfig {
        do {
            return try ContainerUpdate(update).applied(to: record.hostConfig)
        } catch {
            throw EngineError(error.kind, "Cannot update container \(id): \(error.message)")
        }
    }
}

extension HostConfig {
    fileprivate mutating func setPorts(_ other: HostConfig) {
        (PortBindings, PublishAllPorts) = (other.PortBindings, other.PublishAllPorts)
    }
}

/// What an update changes in the settings of a container: that which it names.
struct ContainerUpdate {
    let update: ContainerUpdateRequest

    init(_ update: ContainerUpdateRequest) {
        self.update = update
    }

    func applied(to present: HostConfig) throws(EngineError) -> HostConfig {
        try check(against: present)
        var changed = present
        func take(_ value: Int64?, _ field: WritableKeyPath<HostConfig, Int64?>) {
            if let value, value != 0 { changed[keyPath: field] = value }
        }
        take(update.CpuShares, \.CpuShares)
        take(update.CpuPeriod, \.CpuPeriod)
        take(update.CpuQuota, \.CpuQuota)
        take(update.NanoCpus, \.NanoCpus)
        take(update.CpuRealtimePeriod, \.CpuRealtimePeriod)
        take(update.CpuRealtimeRuntime, \.CpuRealtimeRuntime)
        take(update.Memory, \.Memory)
        take(update.MemoryReservation, \.MemoryReservation)
        take(update.MemorySwap, \.MemorySwap)
        take(update.PidsLimit, \.PidsLimit)
        // Here 0 says something: no limit.
        if let rate = update.NetworkInBps { changed.NetworkInBps = rate }
        if let rate = update.NetworkOutBps { changed.NetworkOutBps = rate }
        if let value = update.CpusetCpus, !value.isEmpty { changed.CpusetCpus = value }
        if let value = update.CpusetMems, !value.isEmpty { changed.CpusetMems = value }
        if let value = update.BlkioWeight, value != 0 { changed.BlkioWeight = value }
        if let devices = update.BlkioWeightDevice, !devices.isEmpty { changed.BlkioWeightDevice = devices }
        for field in [\HostConfig.BlkioDeviceReadBps, \.BlkioDeviceWriteBps, \.BlkioDeviceReadIOps, \.BlkioDeviceWriteIOps] {
            if let devices = rates(field), !devices.isEmpty { changed[keyPath: field] = devices }
        }
        if let policy = update.RestartPolicy, !(policy.Name ?? "").isEmpty { changed.RestartPolicy = policy }
        return changed
    }

    private func rates(_ field: WritableKeyPath<HostConfig, [ThrottleDevice]?>) -> [ThrottleDevice]? {
        switch field {
        case \.BlkioDeviceReadBps: update.BlkioDeviceReadBps
        case \.BlkioDeviceWriteBps: update.BlkioDeviceWriteBps
        case \.BlkioDeviceReadIOps: update.BlkioDeviceReadIOps
        default: update.BlkioDeviceWriteIOps
        }
    }

    private func check(against present: HostConfig) throws(EngineError) {
        func isSet(_ value: Int64?) -> Bool { (value ?? 0) > 0 }
        let conflicts = [
            (update.NanoCpus, present.CpuPeriod, "Nano CPUs", "CPU Period"), (update.NanoCpus, present.CpuQuota, "Nano CPUs", "CPU Quota"),
            (update.CpuPeriod, present.NanoCpus, "CPU Period", "NanoCPUs"), (update.CpuQuota, present.NanoCpus, "CPU Quota", "NanoCPUs"),
        ]
        for (new, old, name, other) in conflicts where isSet(new) && isSet(old) {
            throw EngineError(.conflict, "Conflicting options: \(name) cannot be updated as \(other) has already been set")
        }
        if let memory = update.Memory, memory != 0, (update.MemorySwap ?? 0) == 0, let swap = present.MemorySwap, swap > 0, swap < memory {
            throw EngineError(
                .conflict,
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
        }
        if present.AutoRemove == true, let name = update.RestartPolicy?.Name, !["", "no"].contains(name) {
            throw EngineError(.conflict, "Restart policy cannot be updated because AutoRemove is enabled for the container")
        }
    }
}
