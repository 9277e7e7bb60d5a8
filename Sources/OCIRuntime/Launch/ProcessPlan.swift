import Linux
import OCI

/// A process of the configuration, checked and turned into what the kernel understands, before anything is cloned.
struct ProcessPlan {
    let process: RuntimeSpec.Process
    let seccomp: SeccompProgram?
    let seccompFlags: SeccompProgram.Flags
    let capabilities: CapabilitySets?
    let limits: [(limit: ResourceLimit, soft: UInt64?, hard: UInt64?)]
    /// The runtime's own file, which a container must never execute.
    let ownProgram: ProgramFile
    /// But for this place, where the engine has bound it to be the container's init; nil when it has not.
    let initPath: String?

    init(_ process: RuntimeSpec.Process, seccomp: RuntimeSpec.Seccomp?, initPath: String? = nil) throws {
        self.initPath = initPath
        guard !process.args.isEmpty else { throw LaunchError(message: "args must not be empty") }
        guard process.cwd.hasPrefix("/") else {
            throw LaunchError(message: "Cwd must be an absolute path")
        }
        for text in process.args + process.env + [process.cwd] where text.utf8.contains(0) {
            throw LaunchError(message: "process has a zero byte in its arguments, environment or directory")
        }
        guard (process.selinuxLabel ?? "").isEmpty else { throw LaunchError(message: "selinuxLabel is not supported") }
        self.process = process
        self.seccomp = try seccomp.map { try SeccompProgram.compile(try SeccompProfile($0)) }
        var flags: SeccompProgram.Flags = []
        for name in seccomp?.flags ?? [] {
            guard let flag = SeccompProgram.Flags(name: name) else {
                throw LaunchError(message: "seccomp flag \(name) is not supported")
            }
            flags.formUnion(flag)
        }
        seccompFlags = flags
        capabilities = try process.capabilities.map(Self.sets)
        limits = try Self.limits(process.rlimits)
        ownProgram = try ProgramFile.current()
    }

    /// The sets, without what the runtime itself lacks: it could not give that away.
    private static func sets(_ wanted: RuntimeSpec.Capabilities) throws -> CapabilitySets {
        let own = try CapabilitySets.current()
        func mask(_ names: [String]) -> CapabilityMask { CapabilityMask(names.compactMap { Capability(name: $0) }) }
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
            result.append((limit, UInt64(exactly: wanted.soft), UInt64(exactly: wanted.hard)))
        }
        return result
    }
}

extension SeccompProfile {
    /// The profile of a configuration. What this program does not know makes it fail, except names of system calls.
    init(_ seccomp: RuntimeSpec.Seccomp) throws(LaunchError) {
        guard (seccomp.listenerPath ?? "").isEmpty else {
            throw LaunchError(message: "seccomp listenerPath is not supported")
        }
        var rules: [Rule] = []
        for rule in seccomp.syscalls {
            var conditions: [Condition] = []
            for argument in rule.args {
                guard
                    let condition = Condition(
                        argument: Int(argument.index), name: argument.op, value: argument.value,
                        valueTwo: argument.valueTwo)
                else { throw LaunchError(message: "invalid seccomp argument \(argument.index) \(argument.op)") }
                conditions.append(condition)
            }
            rules.append(
                Rule(names: rule.names, action: try Self.action(rule.action, rule.errnoRet), conditions: conditions))
        }
        self.init(
            defaultAction: try Self.action(seccomp.defaultAction, seccomp.defaultErrnoRet),
            architectures: seccomp.architectures.compactMap { Architecture(name: $0) }, rules: rules)
    }

    private static func action(_ name: String, _ errno: UInt32?) throws(LaunchError) -> Action {
        guard let action = Action(name: name, errno: errno) else {
            throw LaunchError(message: "seccomp action \(name) is not supported")
        }
        return action
    }
}
