/// Which system calls a process may make: what the compiler turns into a filter.
public struct SeccompProfile: Sendable, Equatable {
    /// What happens at a call.
    public enum Action: Sendable, Equatable {
        case allow
        case log
        case errno(UInt16)
        case killThread
        case killProcess
        case trap
        case trace(UInt16)
        /// Another process is asked, see `SeccompProgram.installWithListener`.
        case notify

        /// By libseccomp's name; `errno` goes with `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`, EPERM being usual. nil for what
        /// is no action.
        public init?(name: String, errno: UInt32?) {
            let data = UInt16(truncatingIfNeeded: errno ?? 1)
            switch name {
            case "SCMP_ACT_ALLOW": self = .allow
            case "SCMP_ACT_LOG": self = .log
            case "SCMP_ACT_ERRNO": self = .errno(data)
            case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": self = .killThread
            case "SCMP_ACT_KILL_PROCESS": self = .killProcess
            case "SCMP_ACT_TRAP": self = .trap
            case "SCMP_ACT_TRACE": self = .trace(data)
            case "SCMP_ACT_NOTIFY": self = .notify
            default: return nil
            }
        }

        /// Whether the action has a number of its own to give.
        public var hasErrno: Bool {
            switch self {
            case .errno, .trace: true
            case .allow, .log, .killThread, .killProcess, .trap, .notify: false
            }
        }

        /// The call is made in the end, whatever anybody says.
        var isPermissive: Bool {
            switch self {
            case .allow, .log, .trace: true
            case .errno, .killThread, .killProcess, .trap, .notify: false
            }
        }

        /// The value that a filter returns, see seccomp(2).
        var filterValue: UInt32 {
            switch self {
            case .allow: 0x7FFF_0000
            case .log: 0x7FFC_0000
            case .notify: 0x7FC0_0000
            case .trace(let data): 0x7FF0_0000 | UInt32(data)
            case .errno(let data): 0x0005_0000 | UInt32(data)
            case .trap: 0x0003_0000
            case .killThread: 0
            case .killProcess: 0x8000_0000
            }
        }
    }

    /// A processor's way of making calls. One kernel knows several: a 64-bit x86 kernel also i386 and x32.
    public enum Architecture: Sendable, Hashable, CaseIterable {
        // The architecture's own name.
        // swift-format-ignore: AlwaysUseLowerCamelCase
        case x86_64, x32, x86, aarch64, arm

        /// Those that OCI names and no machine of this program can run: their calls never happen here.
        public static let foreign: Set<String> = [
            "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
            "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390",
            "SCMP_ARCH_S390X", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64",
            "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
        ]

        /// By libseccomp's name; nil for architectures whose calls this program does not know.
        public init?(name: String) {
            switch name {
            case "SCMP_ARCH_X86_64": self = .x86_64
            case "SCMP_ARCH_X32": self = .x32
            case "SCMP_ARCH_X86": self = .x86
            case "SCMP_ARCH_AARCH64": self = .aarch64
            case "SCMP_ARCH_ARM": self = .arm
            default: return nil
            }
        }

        /// The one this program was built for.
        public static var native: Architecture {
            #if arch(arm64)
                .aarch64
            #else
                .x86_64
            #endif
        }

        /// `AUDIT_ARCH_*`
        var auditValue: UInt32 {
            switch self {
            case .x86_64, .x32: 0xC000_003E
            case .x86: 0x4000_0003
            case .aarch64: 0xC000_00B7
            case .arm: 0x4000_0028
            }
        }

        /// Arguments are compared in 64 bits; else in the lower 32, as libseccomp does.
        var hasLongArguments: Bool { self == .x86_64 || self == .aarch64 }
    }

    /// A comparison of one argument; all are unsigned.
    public struct Condition: Sendable, Equatable {
        public enum Comparison: Sendable, Equatable {
            case notEqual, less, lessOrEqual, equal, greaterOrEqual, greater
            /// The argument's bits under this mask.
            case maskedEqual(mask: UInt64)
        }

        /// 0...5
        public var argument: Int
        public var comparison: Comparison
        public var value: UInt64

        public init(argument: Int, _ comparison: Comparison, _ value: UInt64) {
            self.argument = argument
            self.comparison = comparison
            self.value = value
        }

        /// By libseccomp's name; for `SCMP_CMP_MASKED_EQ` the mask is `value` and the wanted bits are `valueTwo`.
        public init?(argument: Int, name: String, value: UInt64, valueTwo: UInt64) {
            guard (0...5).contains(argument) else { return nil }
            switch name {
            case "SCMP_CMP_NE": self.init(argument: argument, .notEqual, value)
            case "SCMP_CMP_LT": self.init(argument: argument, .less, value)
            case "SCMP_CMP_LE": self.init(argument: argument, .lessOrEqual, value)
            case "SCMP_CMP_EQ": self.init(argument: argument, .equal, value)
            case "SCMP_CMP_GE": self.init(argument: argument, .greaterOrEqual, value)
            case "SCMP_CMP_GT": self.init(argument: argument, .greater, value)
            case "SCMP_CMP_MASKED_EQ": self.init(argument: argument, .maskedEqual(mask: value), valueTwo)
            default: return nil
            }
        }
    }

    /// What happens at the named calls when all conditions hold. Names that the architecture does not have are left out.
    public struct Rule: Sendable, Equatable {
        public var names: [String]
        public var action: Action
        public var conditions: [Condition]

        public init(names: [String], action: Action, conditions: [Condition] = []) {
            self.names = names
            self.action = action
            self.conditions = conditions
        }
    }

    public var defaultAction: Action
    /// The native one counts always, listed or not. Calls in the way of any other kill the thread.
    public var architectures: [Architecture]
    /// For one call, a rule without conditions goes before those with conditions, then the first one counts.
    public var rules: [Rule]

    /// Whether somebody has to answer calls.
    public var needsListener: Bool { rules.contains { $0.action == .notify } }

    public init(defaultAction: Action, architectures: [Architecture] = [], rules: [Rule] = []) {
        self.defaultAction = defaultAction
        self.architectures = architectures
        self.rules = rules
    }
}
