import CLinux
import Glibc
import SystemPackage

/// How the processor is given to the calling thread and what it executes later, see sched_setattr(2).
public struct Scheduling: Sendable, Equatable {
    public enum Policy: UInt32, Sendable {
        case other = 0
        case fifo = 1
        case roundRobin = 2
        case batch = 3
        /// Reserved by Linux and not there.
        case isochronous = 4
        case idle = 5
        case deadline = 6

        /// By the kernel's name: `SCHED_FIFO`.
        public init?(name: String) {
            switch name {
            case "SCHED_OTHER": self = .other
            case "SCHED_FIFO": self = .fifo
            case "SCHED_RR": self = .roundRobin
            case "SCHED_BATCH": self = .batch
            case "SCHED_ISO": self = .isochronous
            case "SCHED_IDLE": self = .idle
            case "SCHED_DEADLINE": self = .deadline
            default: return nil
            }
        }
    }

    /// `SCHED_FLAG_*`
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// By the kernel's name; nil for others.
        public init?(name: String) {
            let names = ["RESET_ON_FORK", "RECLAIM", "DL_OVERRUN", "KEEP_POLICY", "KEEP_PARAMS", "UTIL_CLAMP_MIN", "UTIL_CLAMP_MAX"]
            guard name.hasPrefix("SCHED_FLAG_"), let bit = names.firstIndex(of: String(name.dropFirst(11))) else { return nil }
            rawValue = 1 << UInt64(bit)
        }
    }

    public var policy: Policy
    public var flags: Flags
    /// -20 (most) to 19, for the ordinary policies.
    public var nice: Int32
    /// 1 to 99, for the real-time policies.
    public var priority: UInt32
    /// Nanoseconds, for `.deadline`.
    public var runtime: UInt64
    public var deadline: UInt64
    public var period: UInt64

    public init(
        policy: Policy, flags: Flags = [], nice: Int32 = 0, priority: UInt32 = 0, runtime: UInt64 = 0,
        deadline: UInt64 = 0, period: UInt64 = 0
    ) {
        self.policy = policy
        self.flags = flags
        self.nice = nice
        self.priority = priority
        self.runtime = runtime
        self.deadline = deadline
        self.period = period
    }

    /// Binds the calling thread.
    public func apply() throws(SystemError) {
        var wanted = clinux_scheduling(
            policy: policy.rawValue, flags: flags.rawValue, nice: nice, priority: priority, runtime: runtime,
            deadline: deadline, period: period)
        try check("sched_setattr") { clinux_sched_setattr(&wanted) }
    }
}

/// How the disks are given to the calling thread and what it executes later, see ioprio_set(2).
public struct IOPriority: Sendable, Equatable {
    /// `IOPRIO_CLASS_*`
    public enum Class: Int32, Sendable {
        case realTime = 1
        case bestEffort = 2
        case idle = 3

        /// By the kernel's name.
        public init?(name: String) {
            switch name {
            case "IOPRIO_CLASS_RT": self = .realTime
            case "IOPRIO_CLASS_BE": self = .bestEffort
            case "IOPRIO_CLASS_IDLE": self = .idle
            default: return nil
            }
        }
    }

    let value: Int32

    /// `level` is 0 (first) to 7; nil for others.
    public init?(_ kind: Class, level: Int64) {
        guard (0...7).contains(level) else { return nil }
        value = kind.rawValue << 13 | Int32(level)
    }

    /// Binds the calling thread and reads it back.
    public func apply() throws(SystemError) {
        let value = value
        try check("ioprio_set") { clinux_ioprio_set(value) }
        if try check("ioprio_get", "", { clinux_ioprio_get() }) != value {
            throw SystemError(errno: .notSupported, call: "ioprio_set read back")
        }
    }
}

/// Numbers in the kernel's list form, `0-3,7`, as bits: processors or memory nodes.
public struct NumberList: Sendable, Equatable {
    public private(set) var words: [UInt64] = []

    /// nil for what is no such list, or has a number above 8191.
    public init?(_ text: String) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Self.number($0) }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last else {
                return nil
            }
            for number in first...last {
                while words.count <= number / 64 { words.append(0) }
                words[number / 64] |= 1 << UInt64(number % 64)
            }
        }
    }

    /// Whether every number of the other list is in this one.
    public func contains(_ other: NumberList) -> Bool {
        other.words.enumerated().allSatisfy { index, word in word & ~(index < words.count ? words[index] : 0) == 0 }
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text).flatMap { $0 < 8192 ? $0 : nil }
    }

    init(words: [UInt64]) {
        self.words = words
    }
}

/// On which processors the calling thread may run.
public enum ProcessorAffinity {
    public static func get() throws(SystemError) -> NumberList {
        var words = [UInt64](repeating: 0, count: 128)
        let bytes = try check("sched_getaffinity") { clinux_sched_getaffinity(&words, words.count * 8) }
        return NumberList(words: Array(words.prefix((Int(bytes) + 7) / 8)))
    }

    /// Processors that are not there do not count; none at all is an error (`EINVAL`).
    public static func set(_ processors: NumberList) throws(SystemError) {
        let words = processors.words
        try check("sched_setaffinity") { clinux_sched_setaffinity(words, words.count * 8) }
    }
}

/// From which memory nodes the calling thread, and what it executes later, is served (set_mempolicy(2)).
public struct MemoryPolicy: Sendable, Equatable {
    let mode: Int32
    let nodes: NumberList?

    /// By the kernel's names, `MPOL_BIND` and `MPOL_F_STATIC_NODES`; nil for others.
    public init?(mode: String, flags: [String], nodes: NumberList?) {
        let modes = [
            "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
            "MPOL_WEIGHTED_INTERLEAVE",
        ]
        guard let number = modes.firstIndex(of: mode) else { return nil }
        var value = Int32(number)
        for flag in flags {
            switch flag {
            case "MPOL_F_NUMA_BALANCING": value |= 1 << 13
            case "MPOL_F_RELATIVE_NODES": value |= 1 << 14
            case "MPOL_F_STATIC_NODES": value |= 1 << 15
            default: return nil
            }
        }
        self.mode = value
        self.nodes = nodes
    }

    /// Binds the calling thread.
    public func apply() throws(SystemError) {
        let (mode, words) = (mode, nodes?.words ?? [])
        // The kernel takes one bit less than it is told.
        let bits = words.isEmpty ? 0 : UInt(words.count * 64 + 1)
        try check("set_mempolicy") { clinux_set_mempolicy(mode, words.isEmpty ? nil : words, bits) }
    }
}

extension Identity {
    /// What the kernel says it is: an ordinary 64-bit machine, or (`is32Bit`) a 32-bit one to programs that ask.
    public static func setPersonality(is32Bit: Bool) throws(SystemError) {
        try check("personality") { clinux_personality(is32Bit ? 0x0008 : 0) }
    }

    /// A session keyring of its own, empty and without a name. Kernels without keys, and containers that may not use them,
    /// have none to inherit either.
    public static func startKeyring() throws(SystemError) {
        do {
            try check("keyctl join session keyring") { clinux_join_session_keyring(nil) }
        } catch  where error.errno == .noFunction || error.errno == .notPermitted {
            return
        }
    }
}
