import Linux
import OCI

/// A process of the configuration, checked and turned into what the kernel understands, before anything is cloned.
struct ProcessPlan {
    let process: RuntimeSpec.Process
    let filter: SeccompFilter?
    let capabilities: CapabilitySets
    let limits: [(limit: ResourceLimit, soft: UInt64?, hard: UInt64?)]
    let scheduling: Scheduling?
    let ioPriority: IOPriority?
    let affinity: ExecAffinity
    let labels: Labels
    /// The runtime's own file, which a container must never execute.
    let ownProgram: ProgramFile
    /// But for this place, where the engine has bound it to be the container's init; nil when it has not.
    let initPath: String?

    /// With `hasOwnUsers` the process comes into a user namespace, where it has every right at first.
    init(
        _ process: RuntimeSpec.Process, seccomp: RuntimeSpec.Seccomp?, knownFilter: KnownFilter? = nil, initPath: String? = nil,
        hasOwnUsers: Bool = false
    ) throws {
        self.initPath = initPath
        guard !process.args.isEmpty else { throw LaunchError(message: "args must not be empty") }
        guard process.cwd.hasPrefix("/") else {
            throw LaunchError(message: "Cwd must be an absolute path")
        }
        for text in process.args + process.env + [process.cwd] where text.utf8.contains(0) {
            throw LaunchError(message: "process has a zero byte in its arguments, environment or directory")
        }
        self.process = process
        filter = try SeccompFilter.find(knownFilter, for: seccomp)
        capabilities = try Self.sets(process.capabilities ?? RuntimeSpec.Capabilities(), hasOwnUsers: hasOwnUsers)
        limits = try Self.limits(process.rlimits)
        scheduling = try process.scheduler.map { try Scheduling($0) }
        ioPriority = try process.ioPriority.map { try IOPriority($0) }
        affinity = try ExecAffinity(process.execCPUAffinity)
        labels = try Labels(process)
        ownProgram = try ProgramFile.current()
    }

    /// The sets, without what the runtime itself lacks: it could not give that away.
    private static func sets(_ wanted: RuntimeSpec.Capabilities, hasOwnUsers: Bool) throws -> CapabilitySets {
        let all = CapabilityMask.all()
        let own = hasOwnUsers ? CapabilitySets(bounding: all, permitted: all) : try CapabilitySets.current()
        func mask(_ names: [String]) -> CapabilityMask {
            var mask: CapabilityMask = []
            for name in names {
                if let one = Capability(name: name) { mask.formUnion(CapabilityMask(rawValue: 1 << UInt64(one.rawValue))) }
            }
            return mask
        }
        let permitted = mask(wanted.permitted).intersection(own.permitted)
        return CapabilitySets(
            bounding: mask(wanted.bounding).intersection(own.bounding),
            effective: mask(wanted.effective).intersection(permitted), permitted: permitted,
            inheritable: mask(wanted.inheritable).intersection(permitted),
            ambient: mask(wanted.ambient).intersection(mask(wanted.inheritable)).intersection(permitted))
    }

    private static func limits(_ limits: [RuntimeSpec.Rlimit]) throws(LaunchError)
        -> [(limit: ResourceLimit, soft: UInt64?, hard: UInt64?)]
    {
        var seen: Set<String> = []
        var result: [(limit: ResourceLimit, soft: UInt64?, hard: UInt64?)] = []
        for wanted in limits {
            guard let limit = ResourceLimit(name: wanted.type) else {
                throw LaunchError(message: "invalid rlimit type: \(wanted.type)")
            }
            guard seen.insert(wanted.type).inserted else {
                throw LaunchError(message: "rlimit \(wanted.type) is given twice")
            }
            guard wanted.soft >= -1, wanted.hard >= -1 else {
                throw LaunchError(message: "rlimit \(wanted.type) is negative")
            }
            result.append((limit, UInt64(exactly: wanted.soft), UInt64(exactly: wanted.hard)))
        }
        return result
    }
}
