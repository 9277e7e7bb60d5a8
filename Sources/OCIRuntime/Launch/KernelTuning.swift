import Linux
import OCI

/// What the kernel is told once for each process of a container: how it presents itself, and whose memory it takes.
struct KernelTuning {
    let is32Bit: Bool?
    let memoryPolicy: MemoryPolicy?

    init(_ linux: RuntimeSpec.Linux) throws(LaunchError) {
        if let personality = linux.personality {
            guard ["LINUX", "LINUX32"].contains(personality.domain) else {
                throw LaunchError(message: "invalid personality domain \(personality.domain)")
            }
            // The specification has a place for flags and no flag.
            if let flag = personality.flags.first {
                throw LaunchError(message: "invalid personality flag \(flag)")
            }
            is32Bit = personality.domain == "LINUX32"
        } else {
            is32Bit = nil
        }
        memoryPolicy = try linux.memoryPolicy.map(Self.policy)
    }

    private static func policy(_ wanted: RuntimeSpec.MemoryPolicy) throws(LaunchError) -> MemoryPolicy {
        var nodes: NumberList?
        if let text = wanted.nodes, !text.isEmpty {
            guard let list = NumberList(text) else { throw LaunchError(message: "invalid memoryPolicy nodes \(text)") }
            nodes = list
        }
        guard let policy = MemoryPolicy(mode: wanted.mode, flags: wanted.flags, nodes: nodes) else {
            throw LaunchError(message: "invalid memoryPolicy \(wanted.mode) \(wanted.flags.joined(separator: " "))")
        }
        return policy
    }

    /// Binds the calling process.
    func apply() throws(LaunchError) {
        do throws(SystemError) {
            if let is32Bit { try Identity.setPersonality(is32Bit: is32Bit) }
        } catch {
            throw LaunchError(message: "unable to set personality: \(error.errno.goText)")
        }
        do throws(SystemError) {
            try memoryPolicy?.apply()
        } catch {
            throw LaunchError(message: "unable to set memoryPolicy: \(error.errno.goText)")
        }
    }
}

extension Scheduling {
    init(_ wanted: RuntimeSpec.Scheduler) throws(LaunchError) {
        func refusal(_ message: String) -> LaunchError { LaunchError(message: message) }
        guard let policy = Policy(name: wanted.policy), policy != .isochronous else {
            throw refusal("invalid scheduler policy: \(wanted.policy)")
        }
        guard let nice = Int32(exactly: wanted.nice ?? 0), (-20...19).contains(nice) else {
            throw refusal("invalid scheduler.nice: \(wanted.nice ?? 0)")
        }
        guard let priority = UInt32(exactly: wanted.priority ?? 0) else {
            throw refusal("invalid scheduler.priority: \(wanted.priority ?? 0)")
        }
        if priority != 0, policy != .fifo, policy != .roundRobin {
            throw refusal("scheduler.priority can only be specified for SchedFIFO or SchedRR policy")
        }
        let (runtime, deadline, period) = (wanted.runtime ?? 0, wanted.deadline ?? 0, wanted.period ?? 0)
        if policy != .deadline, runtime != 0 || deadline != 0 || period != 0 {
            throw refusal("scheduler runtime/deadline/period can only be specified for SchedDeadline policy")
        }
        var flags: Flags = []
        for name in wanted.flags {
            guard let flag = Flags(name: name) else { throw refusal("invalid scheduler flag: \(name)") }
            flags.formUnion(flag)
        }
        self.init(
            policy: policy, flags: flags, nice: nice, priority: priority, runtime: runtime, deadline: deadline,
            period: period)
    }
}

extension IOPriority {
    init(_ wanted: RuntimeSpec.IOPriority) throws(LaunchError) {
        guard let kind = Class(name: wanted.type) else {
            throw LaunchError(message: "invalid ioPriority.Class: \(wanted.type)")
        }
        guard let priority = IOPriority(kind, level: wanted.priority) else {
            throw LaunchError(message: "invalid ioPriority.Priority: \(wanted.priority)")
        }
        self = priority
    }
}

/// On which processors a process that joins a container runs, before and after it is in the container's cgroup.
struct ExecAffinity {
    let initial: NumberList?
    let final: NumberList?

    init(_ wanted: RuntimeSpec.ExecCPUAffinity?) throws(LaunchError) {
        initial = try Self.list(wanted?.initial, "initial")
        final = try Self.list(wanted?.final, "final")
    }

    private static func list(_ text: String?, _ name: String) throws(LaunchError) -> NumberList? {
        guard let text, !text.isEmpty else { return nil }
        guard let list = NumberList(text) else {
            throw LaunchError(message: "invalid execCPUAffinity.\(name): \(text)")
        }
        return list
    }

    /// For the caller, whose child begins with it. Answers what to go back to.
    func enterInitial() throws(LaunchError) -> NumberList? {
        guard let initial else { return nil }
        do throws(SystemError) {
            let before = try ProcessorAffinity.get()
            try ProcessorAffinity.set(initial)
            return before
        } catch {
            throw LaunchError(message: "unable to set execCPUAffinity.initial: \(error.errno.goText)")
        }
    }

    func enterFinal() throws(LaunchError) {
        guard let final else { return }
        do throws(SystemError) {
            try ProcessorAffinity.set(final)
        } catch {
            throw LaunchError(message: "unable to set execCPUAffinity.final: \(error.errno.goText)")
        }
    }
}
