import CLinux
import Glibc
import SystemPackage

/// A filter in the kernel's form (classic BPF), ready to be installed.
public struct SeccompProgram: Sendable, Equatable {
    /// `struct sock_filter`: u16 code, u8 jump if true, u8 jump if false, u32 value.
    public let instructions: [UInt64]

    /// A filter that `compile` has made earlier.
    public init(instructions: [UInt64]) {
        self.instructions = instructions
    }

    /// Options of the installation, see seccomp(2).
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let synchronizeThreads = Flags(rawValue: 1)
        /// All refusals are written to the kernel's log.
        public static let log = Flags(rawValue: 2)
        /// Without the slow defence against speculation that a filter otherwise switches on.
        public static let allowSpeculation = Flags(rawValue: 4)
        /// A process whose call is being answered can be killed, but not interrupted by other signals. Only with a listener.
        public static let waitKillable = Flags(rawValue: 32)

        /// By the name of OCI; nil for others.
        public init?(name: String) {
            switch name {
            case "SECCOMP_FILTER_FLAG_TSYNC": self = .synchronizeThreads
            case "SECCOMP_FILTER_FLAG_LOG": self = .log
            case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": self = .allowSpeculation
            case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": self = .waitKillable
            default: return nil
            }
        }
    }

    /// Turns a profile into a filter. Throws `.argListTooLong` when it has more instructions than the kernel takes.
    public static func compile(_ profile: SeccompProfile) throws(SystemError) -> SeccompProgram {
        let native = SeccompProfile.Architecture.native
        return try compile(profile, architectures: [native] + profile.architectures.filter { $0 != native })
    }

    static func compile(
        _ profile: SeccompProfile, architectures: [SeccompProfile.Architecture]
    ) throws(SystemError) -> SeccompProgram {
        let rows = profile.rules.map { $0.names.map(SyscallTable.row) }
        var code = FilterAssembler()
        var sections: [(audit: UInt32, entry: FilterAssembler.Label)] = []
        for architecture in architectures.reversed() where !sections.contains(where: { $0.audit == architecture.auditValue }) {
            let same = architectures.filter { $0.auditValue == architecture.auditValue }
            let ranges = SeccompRanges(profile, rows: rows, architectures: same).ranges
            var builder = SectionBuilder(code: code)
            let entry = builder.section(ranges)
            code = builder.code
            sections.append((architecture.auditValue, entry))
        }
        // The first test stands at the end of the code made so far: everything is made from back to front.
        var next = code.returning(SeccompProfile.Action.killThread.filterValue)
        for section in sections { next = code.jumpIfEqual(section.audit, then: section.entry, else: next) }
        _ = code.load(4)
        let instructions = code.finished
        guard instructions.count <= 4096 else {
            throw SystemError(errno: .argListTooLong, call: "seccomp", subject: "\(instructions.count) instructions")
        }
        return SeccompProgram(instructions: instructions)
    }

    /// Binds the calling thread, and all that it starts, for ever. Needs `no_new_privs` or CAP_SYS_ADMIN.
    public func install(_ flags: Flags = []) throws(SystemError) {
        let flags = flags.subtracting(.waitKillable)
        try check("seccomp") {
            clinux_seccomp_set_filter(flags.rawValue, instructions, UInt16(instructions.count))
        }
    }

    /// The same for a filter with the action `notify`. The descriptor hears of the calls and answers them, see
    /// seccomp_unotify(2); when nobody has it any more they fail with `ENOSYS`.
    public func installWithListener(_ flags: Flags = []) throws(SystemError) -> OwnedFD {
        // SECCOMP_FILTER_FLAG_NEW_LISTENER; together with TSYNC a failure must not look like a descriptor (TSYNC_ESRCH).
        let flags = flags.rawValue | 8 | (flags.contains(.synchronizeThreads) ? 16 : 0)
        return OwnedFD(
            adopting: try check("seccomp") {
                clinux_seccomp_set_filter(flags, instructions, UInt16(instructions.count))
            })
    }
}
