import Linux
import OCI

extension SeccompProfile {
    /// The profile of a configuration. What this program does not know makes it fail, except names of system calls.
    init(_ seccomp: RuntimeSpec.Seccomp) throws(LaunchError) {
        func refusal(_ message: String) -> LaunchError { LaunchError(message: "seccomp: \(message)") }
        var architectures: [Architecture] = []
        for name in seccomp.architectures {
            if let architecture = Architecture(name: name) {
                architectures.append(architecture)
            } else if !Architecture.foreign.contains(name) {
                throw refusal("\"\(name)\" is not a valid architecture")
            }
        }
        var rules: [Rule] = []
        for rule in seccomp.syscalls { rules += try Self.rules(rule) }
        self.init(
            defaultAction: try Self.action(seccomp.defaultAction, seccomp.defaultErrnoRet), architectures: architectures,
            rules: rules)
        if defaultAction == .notify { throw refusal("SCMP_ACT_NOTIFY cannot be used as default action") }
        let path = seccomp.listenerPath ?? ""
        if needsListener, !path.hasPrefix("/") {
            throw refusal("SCMP_ACT_NOTIFY needs an absolute listenerPath")
        }
        if path.isEmpty, !(seccomp.listenerMetadata ?? "").isEmpty {
            throw refusal("listenerMetadata is set without listenerPath")
        }
        // By this call the descriptor of the listener leaves the container.
        if rules.contains(where: { $0.action == .notify && $0.names.contains("sendmsg") }) {
            throw refusal("SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall")
        }
    }

    private static func rules(_ rule: RuntimeSpec.Syscall) throws(LaunchError) -> [Rule] {
        if rule.names.isEmpty { throw LaunchError(message: "seccomp: a rule without names of system calls") }
        let action = try action(rule.action, rule.errnoRet)
        var conditions: [Condition] = []
        for argument in rule.args {
            guard let index = Int(exactly: argument.index),
                let condition = Condition(
                    argument: index, name: argument.op, value: argument.value, valueTwo: argument.valueTwo)
            else { throw LaunchError(message: "seccomp: invalid argument \(argument.index) \(argument.op)") }
            conditions.append(condition)
        }
        // Several conditions on one argument are alternatives, as runc and crun read them; else all of them have to hold.
        if Set(conditions.map(\.argument)).count < conditions.count {
            return conditions.map { Rule(names: rule.names, action: action, conditions: [$0]) }
        }
        return [Rule(names: rule.names, action: action, conditions: conditions)]
    }

    private static func action(_ name: String, _ errno: UInt32?) throws(LaunchError) -> Action {
        guard let action = Action(name: name, errno: errno) else {
            throw LaunchError(message: "seccomp: \"\(name)\" is not a valid action")
        }
        if let errno, !action.hasErrno || errno > UInt16.max {
            throw LaunchError(message: "seccomp: action \(name) cannot have errnoRet \(errno)")
        }
        return action
    }
}

extension SeccompProgram.Flags {
    init(_ names: [String]) throws(LaunchError) {
        self = []
        for name in names {
            guard let flag = SeccompProgram.Flags(name: name) else {
                throw LaunchError(message: "seccomp flag \"\(name)\" is not known")
            }
            formUnion(flag)
        }
    }
}
