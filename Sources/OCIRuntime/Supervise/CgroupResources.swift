import Linux
import OCI

extension Cgroup.Resources {
    /// The limits of a configuration. Where it has device rules, the devices that every container may use follow them, as
    /// in runc: terminals, `null` and its family, and making (not opening) nodes of any kind.
    init(_ resources: RuntimeSpec.Resources?) throws(LaunchError) {
        self.init()
        guard let resources else { return }
        guard resources.unified.isEmpty else { throw LaunchError(message: "cgroup: unified resources are not supported") }
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
        for rule in resources.devices { devices.append(try Self.rule(rule)) }
        if !devices.isEmpty { devices += Self.usualDevices }
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
