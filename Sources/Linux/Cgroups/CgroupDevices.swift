import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    /// Applies device rules to a fresh group, in which every device is open.
    func apply(devices rules: [DeviceRule]) throws(SystemError) {
        if rules.isEmpty { return }
        switch trees {
        case .one:
            let allow = try OwnedFD.open(try file(.devices, "devices.allow"), .writeOnly)
            let deny = try OwnedFD.open(try file(.devices, "devices.deny"), .writeOnly)
            for rule in rules {
                let text = rule.text
                if rule.allow { try Self.write(text, to: allow, subject: text) } else { try Self.write(text, to: deny, subject: text) }
            }
        case .two(let directory):
            try DeviceFilter(rules: rules).attach(to: directory)
        }
    }
}

extension Cgroup.DeviceRule {
    /// As version 1 reads it: `c 1:3 rwm`.
    var text: String {
        // Of a rule for both kinds the kernel reads no more than the letter: it is a rule for everything.
        if coversEverything { return "a" }
        let number = { (value: UInt32?) in value.map { "\($0)" } ?? "*" }
        var letters = ""
        if access.contains(.read) { letters += "r" }
        if access.contains(.write) { letters += "w" }
        if access.contains(.makeNode) { letters += "m" }
        return "\(kind.rawValue) \(number(major)):\(number(minor)) \(letters)"
    }
}

/// Device rules as version 2 wants them: an eBPF program that the kernel asks at each access.
///
/// The rules are first folded as version 1 folds them: a default, and exceptions from it.
struct DeviceFilter: Equatable {
    struct Exception: Equatable {
        var kind: Cgroup.DeviceRule.Kind
        var major: UInt32?
        var minor: UInt32?
        var access: Cgroup.DeviceRule.Access
    }

    private(set) var allowsByDefault = true
    private(set) var exceptions: [Exception] = []

    init(rules: [Cgroup.DeviceRule]) {
        for rule in rules {
            if rule.coversEverything {
                allowsByDefault = rule.allow
                exceptions = []
                continue
            }
            let kinds: [Cgroup.DeviceRule.Kind] = rule.kind == .all ? [.block, .character] : [rule.kind]
            for kind in kinds {
                fold(Exception(kind: kind, major: rule.major, minor: rule.minor, access: rule.access), allow: rule.allow)
            }
        }
    }

    private mutating func fold(_ new: Exception, allow: Bool) {
        let same = exceptions.firstIndex { $0.kind == new.kind && $0.major == new.major && $0.minor == new.minor }
        if allow != allowsByDefault {
            if let same { exceptions[same].access.formUnion(new.access) } else { exceptions.append(new) }
        } else if let same {
            exceptions[same].access.subtract(new.access)
            if exceptions[same].access.isEmpty { exceptions.remove(at: same) }
        }
    }

    /// The program, 8 bytes an instruction. It gets a pointer to `struct bpf_cgroup_dev_ctx` in r1 and answers in r0:
    ///
    ///     u32 access << 16 | kind   u32 major   u32 minor
    var program: [UInt64] {
        var code: [UInt64] = [
            .instruction(0x61, 2, 1, offset: 0),  // r2 = kind and access
            .instruction(0x61, 3, 1, offset: 0),
            .instruction(0x54, 2, 0, value: 0xFFFF),  // r2 = kind
            .instruction(0x74, 3, 0, value: 16),  // r3 = access
            .instruction(0x61, 4, 1, offset: 4),  // r4 = major
            .instruction(0x61, 5, 1, offset: 8),  // r5 = minor
        ]
        for exception in exceptions { code += checks(exception) }
        code += [.instruction(0xB7, 0, 0, value: allowsByDefault ? 1 : 0), .instruction(0x95, 0, 0)]
        return code
    }

    /// Falls through to the next exception unless everything fits.
    private func checks(_ exception: Exception) -> [UInt64] {
        var conditions: [(code: UInt8, destination: UInt8, source: UInt8, value: UInt32)] = []
        conditions.append((0x56, 2, 0, exception.kind == .block ? 1 : 2))
        if let major = exception.major { conditions.append((0x56, 4, 0, major)) }
        if let minor = exception.minor { conditions.append((0x56, 5, 0, minor)) }
        let mask = UInt32(exception.access.rawValue)
        // An opening exception must name all that is asked for, a closing one any of it.
        if allowsByDefault { conditions.append((0x16, 1, 0, 0)) } else { conditions.append((0x5E, 1, 3, 0)) }
        let prepare: [UInt64] = [.instruction(0xBC, 1, 3), .instruction(0x54, 1, 0, value: mask)]
        let end: [UInt64] = [.instruction(0xB7, 0, 0, value: allowsByDefault ? 0 : 1), .instruction(0x95, 0, 0)]
        var code = prepare
        for (index, condition) in conditions.enumerated() {
            let over = conditions.count - index - 1 + end.count
            code.append(
                .instruction(condition.code, condition.destination, condition.source, offset: Int16(over), value: condition.value))
        }
        return code + end
    }

    /// Loads the program and ties it to a group; it goes when the group goes.
    func attach(to directory: FilePath) throws(SystemError) {
        let group = try OwnedFD.open(directory, [.readOnly, .directory])
        let code = program
        let loaded = OwnedFD(
            adopting: try check("bpf BPF_PROG_LOAD") { clinux_bpf_load_device_filter(code, UInt32(code.count)) })
        let (target, filter) = (group.raw, loaded.raw)
        try check("bpf BPF_PROG_ATTACH", directory.string) { clinux_bpf_attach_device_filter(target, filter) }
    }
}

extension UInt64 {
    /// `struct bpf_insn`: u8 code, two registers of 4 bits, s16 offset, s32 value, all little-endian here.
    fileprivate static func instruction(
        _ code: UInt8, _ destination: UInt8, _ source: UInt8, offset: Int16 = 0, value: UInt32 = 0
    ) -> UInt64 {
        UInt64(code) | UInt64(destination) << 8 | UInt64(source) << 12 | UInt64(UInt16(bitPattern: offset)) << 16
            | UInt64(value) << 32
    }
}
