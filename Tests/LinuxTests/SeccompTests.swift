import Glibc
import OCI
import Testing

@testable import Linux

@Suite("Seccomp filters")
struct SeccompTests {
    private static let edges: [UInt64] = [
        0, 1, 2, 8, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0x7E02_0000, 0x1000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000,
        0x1_0000_0026, 0x7FFF_FFFF_FFFF_FFFF, .max,
    ]

    /// The meaning of a profile, worked out call by call.
    private struct Meaning {
        let profile: SeccompProfile
        let architecture: SeccompProfile.Architecture
        /// For each number the rules that name it.
        private var rules: [UInt32: [SeccompProfile.Rule]] = [:]
        private var highest: UInt32 = 0

        init(_ profile: SeccompProfile, _ architecture: SeccompProfile.Architecture) {
            self.profile = profile
            self.architecture = architecture
            for rule in profile.rules {
                for number in Set(rule.names.compactMap { SyscallTable.number($0, architecture) }) {
                    highest = max(highest, number)
                    if rule.action != profile.defaultAction { rules[number, default: []].append(rule) }
                }
            }
        }

        func value(_ number: UInt32, _ arguments: [UInt64]) -> UInt32 {
            let matching = rules[number] ?? []
            if let rule = matching.first(where: { $0.conditions.isEmpty }) { return rule.action.filterValue }
            for rule in matching
            where rule.conditions.allSatisfy({ holds($0, arguments, long: architecture.hasLongArguments) }) {
                return rule.action.filterValue
            }
            let isNew = number > highest && !profile.defaultAction.isPermissive
            return isNew ? SeccompProfile.Action.errno(38).filterValue : profile.defaultAction.filterValue
        }
    }

    private static func holds(_ condition: SeccompProfile.Condition, _ arguments: [UInt64], long: Bool) -> Bool {
        let mask: UInt64 = long ? .max : 0xFFFF_FFFF
        let argument = (condition.argument < arguments.count ? arguments[condition.argument] : 0) & mask
        let value = condition.value & mask
        switch condition.comparison {
        case .equal: return argument == value
        case .notEqual: return argument != value
        case .less: return argument < value
        case .lessOrEqual: return argument <= value
        case .greater: return argument > value
        case .greaterOrEqual: return argument >= value
        case .maskedEqual(let bits): return argument & bits == value
        }
    }

    private static func dockerProfile(
        _ capabilities: [String], _ machine: RuntimeSpec.Seccomp.Machine
    ) throws -> SeccompProfile {
        let spec = RuntimeSpec.Seccomp.dockerDefault(capabilities: capabilities, kernel: (6, 1), machine: machine)
        return SeccompProfile(
            defaultAction: try #require(.init(name: spec.defaultAction, errno: spec.defaultErrnoRet)),
            architectures: spec.architectures.compactMap { .init(name: $0) },
            rules: try spec.syscalls.map { rule in
                .init(
                    names: rule.names, action: try #require(.init(name: rule.action, errno: rule.errnoRet)),
                    conditions: try rule.args.map {
                        try #require(.init(argument: Int($0.index), name: $0.op, value: $0.value, valueTwo: $0.valueTwo))
                    })
            })
    }

    private static func check(_ profile: SeccompProfile, _ architectures: [SeccompProfile.Architecture]) throws {
        let filter = SeccompInterpreter(program: try SeccompProgram.compile(profile, architectures: architectures).instructions)
        var wrong: [String] = []
        for architecture in architectures {
            let meaning = Meaning(profile, architecture)
            let mark: UInt32 = architecture == .x32 ? 0x4000_0000 : 0
            for number in UInt32(0)...600 {
                for edge in edges where architecture.hasLongArguments || edge <= 0xFFFF_FFFF {
                    let arguments = [edge, edge ^ 1]
                    // What i386 makes through socketcall and ipc has a test of its own.
                    if architecture == .x86 && (number == 102 || number == 117) { continue }
                    let call = SeccompInterpreter.Call(
                        architecture: architecture.auditValue, number: number | mark, arguments: arguments)
                    if filter.run(call) != meaning.value(number, arguments) {
                        wrong.append("\(architecture) \(number) \(edge)")
                    }
                }
            }
        }
        #expect(wrong.prefix(10) == [])
    }

    @Test(
        "Docker's profile means the same as a filter for every call and every edge of its arguments",
        arguments: [[], ["CAP_SYS_ADMIN"], ["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_TIME", "CAP_DAC_READ_SEARCH"]])
    func dockerDefault(capabilities: [String]) throws {
        try Self.check(try Self.dockerProfile(capabilities, .x86_64), [.x86_64, .x86, .x32])
        try Self.check(try Self.dockerProfile(capabilities, .aarch64), [.aarch64, .arm])
    }

    @Test("each comparison is right at both halves of 64 bits")
    func comparisons() throws {
        let values: [UInt64] = [0, 5, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0005, .max]
        for value in values {
            let all: [SeccompProfile.Condition.Comparison] = [
                .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .maskedEqual(mask: 0xF_0000_000F),
                .maskedEqual(mask: 0xFF), .maskedEqual(mask: .max),
            ]
            for comparison in all {
                let rule = SeccompProfile.Rule(
                    names: ["read"], action: .allow,
                    conditions: [.init(argument: 0, comparison, value), .init(argument: 1, .notEqual, 3)])
                try Self.check(SeccompProfile(defaultAction: .killProcess, rules: [rule]), [.x86_64])
            }
        }
    }

    @Test("calls of an architecture that is not listed kill the thread")
    func otherArchitectures() throws {
        let profile = SeccompProfile(defaultAction: .allow)
        let filter = SeccompInterpreter(program: try SeccompProgram.compile(profile, architectures: [.x86_64]).instructions)
        #expect(filter.run(.init(architecture: 0x4000_0003, number: 1)) == 0)
        #expect(filter.run(.init(number: 0x4000_0001)) == 0)
        #expect(filter.run(.init(number: .max)) == 0x7FFF_0000)
        #expect(filter.run(.init(number: 1)) == 0x7FFF_0000)
    }

    @Test("what is forbidden by name is forbidden through i386's socketcall and ipc too")
    func multiplexedCalls() throws {
        let profile = SeccompProfile(
            defaultAction: .allow,
            rules: [
                .init(names: ["socket", "shmget"], action: .errno(1)),
                .init(names: ["bind"], action: .errno(2), conditions: [.init(argument: 0, .equal, 7)]),
            ])
        let filter = SeccompInterpreter(
            program: try SeccompProgram.compile(profile, architectures: [.x86_64, .x86]).instructions)
        func run(_ number: UInt32, _ function: UInt64) -> UInt32? {
            filter.run(.init(architecture: 0x4000_0003, number: number, arguments: [function]))
        }
        #expect(run(102, 1) == 0x0005_0001)
        #expect(run(102, 2) == 0x0005_0002)
        #expect(run(102, 3) == 0x7FFF_0000)
        #expect(run(117, 23) == 0x0005_0001)
        #expect(run(117, 21) == 0x7FFF_0000)
    }

    @Test("a filter with a rule for each of many calls keeps its jumps in reach")
    func manyRanges() throws {
        let names = ["read", "write", "open", "close", "stat", "mmap", "brk", "ioctl", "pipe", "dup", "socket", "clone"]
        let rules = names.enumerated().map { index, name in
            SeccompProfile.Rule(
                names: [name], action: .errno(UInt16(index + 2)),
                conditions: (0..<6).map { .init(argument: $0 % 2, .greaterOrEqual, UInt64($0) << 31) })
        }
        try Self.check(SeccompProfile(defaultAction: .allow, rules: rules), [.x86_64, .x86, .x32])
    }

    @Test("system calls have the numbers of the kernel's headers")
    func numbers() {
        #expect(SyscallTable.number("read", .x86_64) == 0)
        #expect(SyscallTable.number("mseal", .x86_64) == 462)
        #expect(SyscallTable.number("execve", .x32) == 520)
        #expect(SyscallTable.number("socketcall", .x86) == 102)
        #expect(SyscallTable.number("socketcall", .x86_64) == nil)
        #expect(SyscallTable.number("openat", .aarch64) == 56)
        #expect(SyscallTable.number("cacheflush", .arm) == 0xF0002)
        #expect(SyscallTable.number("_llseek", .x86) == 140)
        #expect(SyscallTable.number("writev", .aarch64) == 66)
        for name in ["", "rea", "readx", "zzz", "_", "nosuchcall"] { #expect(SyscallTable.number(name, .x86_64) == nil) }
    }

    @Test("the kernel takes a filter and keeps to it; that of Docker's profile is small")
    func installation() async throws {
        let program = try SeccompProgram.compile(try Self.dockerProfile([], .native))
        await #expect(processExitsWith: .success) {
            let rule = SeccompProfile.Rule(names: ["mkdir", "mkdirat"], action: .errno(77))
            try Identity.forbidNewPrivileges()
            try SeccompProgram.compile(SeccompProfile(defaultAction: .allow, rules: [rule])).install()
            let result = mkdir("/nosuch/directory", 0o700)
            exit(result == -1 && errno == 77 ? 0 : 1)
        }
        #expect(program.instructions.count < 600)
    }
}

extension RuntimeSpec.Seccomp.Machine {
    static var native: RuntimeSpec.Seccomp.Machine {
        #if arch(arm64)
            .aarch64
        #else
            .x86_64
        #endif
    }
}
