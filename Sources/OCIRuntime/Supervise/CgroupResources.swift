import Linux
import OCI

extension Cgroup.Resources {
    /// The limits of a configuration. Where it has device rules, the devices that every container may use follow them, as
    /// in runc: terminals, `null` and its family, and making (not opening) nodes of any kind.
    init(_ resources: RuntimeSpec.Resources?) throws(LaunchError) {
        self.init()
        guard let resources else { return }
        memoryLimit = resources.memory?.limit
        memoryReservation = resources.memory?.reservation
        memorySwap = resources.memory?.swap
        memorySwappiness = resources.memory?.swappiness
        disableOOMKiller = resources.memory?.disableOOMKiller
        cpuShares = resources.cpu?.shares
        cpuQuota = resources.cpu?.quota
        cpuPeriod = resources.cpu?.period
        cpus = resources.cpu?.cpus
        memoryNodes = resources.cpu?.mems
        pidsLimit = resources.pids?.limit
        kernelMemory = resources.memory?.kernel
        kernelTCPMemory = resources.memory?.kernelTCP
        checksUsage = resources.memory?.checkBeforeUpdate ?? false
        cpuBurst = resources.cpu?.burst
        cpuIdle = resources.cpu?.idle
        realtimeRuntime = resources.cpu?.realtimeRuntime
        realtimePeriod = resources.cpu?.realtimePeriod
        if let limits = resources.blockIO { blockIO = try Self.blockIO(limits) }
        hugepages = resources.hugepageLimits.map { Cgroup.HugepageLimit(pageSize: $0.pageSize, limit: $0.limit) }
        networkClass = resources.network?.classID
        networkPriorities = (resources.network?.priorities ?? []).map {
            Cgroup.NetworkPriority(interface: $0.name, priority: $0.priority)
        }
        rdma = resources.rdma.map { Cgroup.RdmaLimit(device: $0.device, handles: $0.hcaHandles, objects: $0.hcaObjects) }
        unified = resources.unified
        for rule in resources.devices { devices.append(try Self.rule(rule)) }
        if !devices.isEmpty { devices += Self.usualDevices }
    }

    private static func blockIO(_ limits: RuntimeSpec.BlockIO) throws(LaunchError) -> Cgroup.BlockIO {
        func device(_ major: Int64, _ minor: Int64, _ value: UInt64) throws(LaunchError) -> Cgroup.BlockIO.Device {
            guard let major = UInt32(exactly: major), let minor = UInt32(exactly: minor) else {
                throw LaunchError(message: "invalid device number \(major):\(minor) in blockIO")
            }
            return Cgroup.BlockIO.Device(major: major, minor: minor, value: value)
        }
        func rates(_ devices: [RuntimeSpec.ThrottleDevice]) throws(LaunchError) -> [Cgroup.BlockIO.Device] {
            var result: [Cgroup.BlockIO.Device] = []
            for one in devices { result.append(try device(one.major, one.minor, one.rate)) }
            return result
        }
        var result = Cgroup.BlockIO()
        result.weight = limits.weight
        result.leafWeight = limits.leafWeight
        for one in limits.weightDevice {
            if let weight = one.weight { result.deviceWeights.append(try device(one.major, one.minor, UInt64(weight))) }
            if let weight = one.leafWeight {
                result.deviceLeafWeights.append(try device(one.major, one.minor, UInt64(weight)))
            }
        }
        result.readBytes = try rates(limits.throttleReadBpsDevice)
        result.writeBytes = try rates(limits.throttleWriteBpsDevice)
        result.readOperations = try rates(limits.throttleReadIOPSDevice)
        result.writeOperations = try rates(limits.throttleWriteIOPSDevice)
        return result
    }

    private static func rule(_ rule: RuntimeSpec.DeviceRule) throws(LaunchError) -> Cgroup.DeviceRule {
        func number(_ value: Int64?) throws(LaunchError) -> UInt32? {
            guard let value, value != -1 else { return nil }
            guard let number = UInt32(exactly: value) else { throw LaunchError(message: "invalid device number \(value)") }
            return number
        }
        let letters = rule.type ?? "a"
        guard let letter = letters.first, letters.count == 1, let kind = Cgroup.DeviceRule.Kind(rawValue: letter) else {
            throw LaunchError(message: "invalid device type \(letters)")
        }
        var access: Cgroup.DeviceRule.Access = []
        for letter in rule.access ?? "rwm" {
            switch letter {
            case "r": access.formUnion(.read)
            case "w": access.formUnion(.write)
            case "m": access.formUnion(.makeNode)
            default: throw LaunchError(message: "invalid device access \(rule.access ?? "")")
            }
        }
        return Cgroup.DeviceRule(
            allow: rule.allow, kind: kind, major: try number(rule.major), minor: try number(rule.minor),
            access: access.isEmpty ? .all : access)
    }

    private static var usualDevices: [Cgroup.DeviceRule] {
        func open(_ major: UInt32, _ minor: UInt32?) -> Cgroup.DeviceRule {
            Cgroup.DeviceRule(allow: true, kind: .character, major: major, minor: minor)
        }
        return [
            Cgroup.DeviceRule(allow: true, kind: .character, access: .makeNode),
            Cgroup.DeviceRule(allow: true, kind: .block, access: .makeNode),
            open(1, 3), open(1, 8), open(1, 7), open(5, 0), open(1, 5), open(1, 9),  // null random full tty zero urandom
            open(136, nil), open(5, 2),  // /dev/pts/N, ptmx
        ]
    }
}
