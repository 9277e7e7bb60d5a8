/// All call numbers of one audit architecture, cut into ranges that are treated alike.
struct SeccompRanges {
    /// What a filter does once it knows the number of the call.
    enum Treatment: Equatable {
        case always(UInt32)
        /// The first branch that holds counts. Conditions compare 64 bits when `long`.
        case conditional([Branch], otherwise: UInt32, long: Bool)
    }

    struct Branch: Equatable {
        var conditions: [SeccompProfile.Condition]
        var value: UInt32
    }

    /// Each goes up to the next one's first number, the last to the end.
    private(set) var ranges: [(first: UInt32, treatment: Treatment)] = []

    /// The mark of x32 in the number of a call.
    private static let x32: UInt32 = 0x4000_0000

    /// The numbers of the names in the profile's rules.
    private let rows: [[SyscallTable.Row?]]

    /// `architectures` share one audit value: x86-64 alone or with x32, or any other one.
    init(_ profile: SeccompProfile, rows: [[SyscallTable.Row?]], architectures: [SeccompProfile.Architecture]) {
        self.rows = rows
        if architectures.contains(.x86_64) || architectures.contains(.x32) {
            if architectures.contains(.x86_64) {
                add(profile, .x86_64, base: 0)
            } else {
                append(0, .always(SeccompProfile.Action.killThread.filterValue))
            }
            if architectures.contains(.x32) {
                add(profile, .x32, base: Self.x32)
            } else {
                append(Self.x32, .always(SeccompProfile.Action.killThread.filterValue))
                // A tracer makes the kernel skip a call by the number -1, which is no x32 call.
                append(.max, .always(profile.defaultAction.filterValue))
            }
        } else if let architecture = architectures.first {
            add(profile, architecture, base: 0)
        }
    }

    private mutating func add(_ profile: SeccompProfile, _ architecture: SeccompProfile.Architecture, base: UInt32) {
        let byDefault = Treatment.always(profile.defaultAction.filterValue)
        append(base, byDefault)
        var highest: UInt32 = 0
        for (number, treatment) in treatments(profile, architecture, highest: &highest) {
            append(base + number, treatment)
            append(base + number + 1, byDefault)
        }
        // Programs try calls that are newer than the profile and fall back on ENOSYS alone; a refusal by the default's
        // EPERM would break them. runc does the same.
        let noSuchCall: UInt16 = 38  // ENOSYS
        if !profile.defaultAction.isPermissive, profile.defaultAction != .errno(noSuchCall) {
            append(base + highest + 1, .always(SeccompProfile.Action.errno(noSuchCall).filterValue))
        }
    }

    private mutating func append(_ first: UInt32, _ treatment: Treatment) {
        if let last = ranges.last, last.first == first { ranges.removeLast() }
        if ranges.last?.treatment == treatment { return }
        ranges.append((first, treatment))
    }

    /// The calls that rules speak of, in the order of their numbers.
    private func treatments(
        _ profile: SeccompProfile, _ architecture: SeccompProfile.Architecture, highest: inout UInt32
    ) -> [(number: UInt32, treatment: Treatment)] {
        var unconditional: [UInt32: UInt32] = [:]
        var conditional: [UInt32: [Branch]] = [:]
        for (rule, rows) in zip(profile.rules, rows) {
            for (name, row) in zip(rule.names, rows) {
                let number = row?[architecture]
                if let number { highest = max(highest, number) }
                // Rules that repeat the default are no rules, as in runc.
                if rule.action == profile.defaultAction { continue }
                let value = rule.action.filterValue
                if let number {
                    if rule.conditions.isEmpty {
                        if unconditional[number] == nil { unconditional[number] = value }
                    } else {
                        conditional[number, default: []].append(Branch(conditions: rule.conditions, value: value))
                    }
                }
                // The arguments of a multiplexed call lie in memory, out of a filter's sight. A rule with conditions
                // that opens stays out, one that closes closes whatever the arguments are.
                if architecture == .x86, let other = SyscallTable.multiplexed(name),
                    rule.conditions.isEmpty || !rule.action.isPermissive
                {
                    let function = SeccompProfile.Condition(argument: 0, .equal, other.function)
                    conditional[other.call, default: []].append(Branch(conditions: [function], value: value))
                }
            }
        }
        let long = architecture.hasLongArguments
        let otherwise = profile.defaultAction.filterValue
        var all: [(number: UInt32, treatment: Treatment)] = unconditional.map { ($0.key, .always($0.value)) }
        for (number, branches) in conditional where unconditional[number] == nil {
            all.append((number, .conditional(branches, otherwise: otherwise, long: long)))
        }
        return all.sorted { $0.number < $1.number }
    }
}
