/// Writes classic BPF from its end to its beginning: every target of a jump exists before the jump, so that no label is
/// ever open. Conditional jumps reach 255 instructions; where that is too short a copy of the target, or a long jump to
/// it, is put in between.
struct FilterAssembler {
    /// A place in the program, counted from its end.
    struct Label: Equatable {
        fileprivate let index: Int
    }

    private var reversed: [UInt64] = []
    private var latestReturn: [UInt32: Label] = [:]

    /// The program from its first instruction on.
    var finished: [UInt64] { reversed.reversed() }

    /// The place of what was written last.
    private var top: Label { Label(index: reversed.count - 1) }

    private mutating func emit(_ code: UInt16, _ yes: Int = 0, _ no: Int = 0, _ value: UInt32) -> Label {
        reversed.append(UInt64(code) | UInt64(yes) << 16 | UInt64(no) << 24 | UInt64(value) << 32)
        return top
    }

    /// Loads 32 bits of `struct seccomp_data`; what was written last follows.
    mutating func load(_ offset: UInt32) -> Label { emit(0x20, 0, 0, offset) }

    /// Keeps the bits of a mask; what was written last follows.
    mutating func and(_ mask: UInt32) -> Label { emit(0x54, 0, 0, mask) }

    /// A place that returns the value: one that is near, or a new one.
    mutating func returning(_ value: UInt32) -> Label {
        if let label = latestReturn[value], reversed.count - label.index < 200 { return label }
        let label = emit(0x06, 0, 0, value)
        latestReturn[value] = label
        return label
    }

    mutating func jumpIfEqual(_ value: UInt32, then yes: Label, else no: Label) -> Label {
        conditional(0x15, value, yes, no)
    }

    mutating func jumpIfGreater(_ value: UInt32, then yes: Label, else no: Label) -> Label {
        conditional(0x25, value, yes, no)
    }

    mutating func jumpIfAtLeast(_ value: UInt32, then yes: Label, else no: Label) -> Label {
        conditional(0x35, value, yes, no)
    }

    /// Makes `label` the place that follows.
    mutating func jump(to label: Label) -> Label {
        label == top ? label : emit(0x05, 0, 0, UInt32(reversed.count - 1 - label.index))
    }

    private mutating func conditional(_ code: UInt16, _ value: UInt32, _ yes: Label, _ no: Label) -> Label {
        let (yes, no) = (near(yes), near(no))
        let last = reversed.count - 1
        return emit(code, last - yes.index, last - no.index, value)
    }

    /// A place with the same effect within reach of the instruction after next.
    private mutating func near(_ label: Label) -> Label {
        if reversed.count - label.index <= 254 { return label }
        let target = reversed[label.index]
        if target & 0xFFFF == 0x06 { return returning(UInt32(target >> 32)) }
        return emit(0x05, 0, 0, UInt32(reversed.count - 1 - label.index))
    }
}

/// Writes what happens once the architecture is known.
struct SectionBuilder {
    var code: FilterAssembler

    /// Ends with the instruction to begin with: loading the number of the call.
    mutating func section(_ ranges: [(first: UInt32, treatment: SeccompRanges.Treatment)]) -> FilterAssembler.Label {
        let root = search(ranges[...])
        _ = code.jump(to: root)
        return code.load(0)
    }

    /// Halves the ranges until one is left.
    private mutating func search(
        _ ranges: ArraySlice<(first: UInt32, treatment: SeccompRanges.Treatment)>
    ) -> FilterAssembler.Label {
        if ranges.count <= 1 { return ranges.first.map { treat($0.treatment) } ?? code.returning(0) }
        let middle = ranges.startIndex + ranges.count / 2
        let upper = search(ranges[middle...])
        let lower = search(ranges[..<middle])
        return code.jumpIfAtLeast(ranges[middle].first, then: upper, else: lower)
    }

    private mutating func treat(_ treatment: SeccompRanges.Treatment) -> FilterAssembler.Label {
        switch treatment {
        case .always(let value): return code.returning(value)
        case .conditional(let branches, let otherwise, let long):
            var next = code.returning(otherwise)
            for branch in branches.reversed() {
                var label = code.returning(branch.value)
                for condition in branch.conditions.reversed() {
                    label = test(condition, long: long, yes: label, no: next)
                }
                next = label
            }
            return next
        }
    }

    /// A comparison, which begins with loading what it needs.
    private mutating func test(
        _ condition: SeccompProfile.Condition, long: Bool, yes: FilterAssembler.Label, no: FilterAssembler.Label
    ) -> FilterAssembler.Label {
        switch condition.comparison {
        case .equal: return equal(condition, mask: .max, long, yes, no)
        case .notEqual: return equal(condition, mask: .max, long, no, yes)
        case .maskedEqual(let mask): return equal(condition, mask: mask, long, yes, no)
        case .greater: return greater(condition, orEqual: false, long, yes, no)
        case .greaterOrEqual: return greater(condition, orEqual: true, long, yes, no)
        case .less: return greater(condition, orEqual: true, long, no, yes)
        case .lessOrEqual: return greater(condition, orEqual: false, long, no, yes)
        }
    }

    private mutating func equal(
        _ condition: SeccompProfile.Condition, mask: UInt64, _ long: Bool, _ yes: FilterAssembler.Label,
        _ no: FilterAssembler.Label
    ) -> FilterAssembler.Label {
        let (value, lower) = (condition.value, UInt32(truncatingIfNeeded: mask))
        var label = code.jumpIfEqual(UInt32(truncatingIfNeeded: value), then: yes, else: no)
        if lower != .max { label = code.and(lower) }
        label = code.load(offset(condition, upper: false))
        let upper = UInt32(mask >> 32)
        if !long || (upper == 0 && value >> 32 == 0) { return label }
        label = code.jumpIfEqual(UInt32(value >> 32), then: label, else: no)
        if upper != .max { label = code.and(upper) }
        return code.load(offset(condition, upper: true))
    }

    private mutating func greater(
        _ condition: SeccompProfile.Condition, orEqual: Bool, _ long: Bool, _ yes: FilterAssembler.Label,
        _ no: FilterAssembler.Label
    ) -> FilterAssembler.Label {
        let low = UInt32(truncatingIfNeeded: condition.value)
        let high = UInt32(condition.value >> 32)
        var label =
            orEqual
            ? code.jumpIfAtLeast(low, then: yes, else: no) : code.jumpIfGreater(low, then: yes, else: no)
        label = code.load(offset(condition, upper: false))
        if !long { return label }
        label = code.jumpIfEqual(high, then: label, else: no)
        label = code.jumpIfGreater(high, then: yes, else: label)
        return code.load(offset(condition, upper: true))
    }

    /// Where half of an argument lies in `struct seccomp_data`, on a little-endian machine.
    private func offset(_ condition: SeccompProfile.Condition, upper: Bool) -> UInt32 {
        16 + 8 * UInt32(condition.argument) + (upper ? 4 : 0)
    }
}
