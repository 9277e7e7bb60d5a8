import CLinux
import Glibc
import SystemPackage

/// A part of root's power, see capabilities(7).
public struct Capability: RawRepresentable, Sendable, Hashable {
    /// The kernel's number.
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The name as OCI writes it: `CAP_NET_ADMIN`; nil for numbers newer than this program.
    public var name: String? {
        Int(rawValue) < Self.names.count ? "CAP_" + Self.names[Int(rawValue)] : nil
    }

    /// By name, with or without `CAP_`, in any case; nil when there is none of that name.
    public init?(name: String) {
        var name = name.uppercased()
        if name.hasPrefix("CAP_") { name.removeFirst(4) }
        guard let number = Self.names.firstIndex(of: name) else { return nil }
        self.init(rawValue: UInt8(number))
    }

    /// All that this program knows by name, in the order of their numbers.
    public static let known: [Capability] = (0..<UInt8(names.count)).map { Capability(rawValue: $0) }

    /// The highest number that the running kernel knows. Asks no file: a container's `/proc` may not be one.
    public static func lastOfKernel() -> Capability {
        last
    }

    /// Mounting, namespaces and much else.
    public static let systemAdministration = Capability(rawValue: 21)

    private static let last: Capability = {
        // Usually the last that this program knows. The kernel's numbers have no gaps, so the end is found by halving.
        var (known, unknown) = (0, 64)
        var probe = names.count - 1
        while unknown - known > 1 {
            if clinux_prctl(PR_CAPBSET_READ, UInt(probe), 0) < 0 { unknown = probe } else { known = probe }
            probe = probe == names.count - 1 && known == probe ? names.count : (known + unknown) / 2
        }
        return Capability(rawValue: UInt8(known))
    }()

    private static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ]
}

/// A set of capabilities, one bit for each number.
public struct CapabilityMask: OptionSet, Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(_ capabilities: some Sequence<Capability>) {
        rawValue = capabilities.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    }

    public func contains(_ capability: Capability) -> Bool {
        rawValue >> UInt64(capability.rawValue) & 1 == 1
    }

    /// Every capability of the running kernel.
    public static func all() -> CapabilityMask {
        CapabilityMask(rawValue: ~0 >> (63 - UInt64(Capability.lastOfKernel().rawValue)))
    }
}

/// The five sets of a thread.
public struct CapabilitySets: Sendable, Equatable {
    public var bounding: CapabilityMask
    public var effective: CapabilityMask
    public var permitted: CapabilityMask
    public var inheritable: CapabilityMask
    public var ambient: CapabilityMask

    public init(
        bounding: CapabilityMask = [], effective: CapabilityMask = [], permitted: CapabilityMask = [],
        inheritable: CapabilityMask = [], ambient: CapabilityMask = []
    ) {
        self.bounding = bounding
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient
    }

    /// The sets of the calling thread.
    public static func current() throws(SystemError) -> CapabilitySets {
        var result = CapabilitySets()
        var data = clinux_capabilities()
        try check("capget") { clinux_capget(&data) }
        result.effective = CapabilityMask(rawValue: data.effective)
        result.permitted = CapabilityMask(rawValue: data.permitted)
        result.inheritable = CapabilityMask(rawValue: data.inheritable)
        let all = CapabilityMask.all()
        for number in 0..<UInt(64) where all.rawValue >> UInt64(number) & 1 == 1 {
            let one = CapabilityMask(rawValue: 1 << UInt64(number))
            let isBounding = try check("prctl PR_CAPBSET_READ") { clinux_prctl(PR_CAPBSET_READ, number, 0) }
            if isBounding == 1 { result.bounding.formUnion(one) }
            // The kernel keeps the ambient set within these two.
            guard result.permitted.intersection(result.inheritable).contains(one) else { continue }
            let isAmbient = try check("prctl PR_CAP_AMBIENT_IS_SET") {
                clinux_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_IS_SET), number)
            }
            if isAmbient == 1 { result.ambient.formUnion(one) }
        }
        return result
    }

    /// The effective set of the calling thread alone.
    public static func effectiveNow() throws(SystemError) -> CapabilityMask {
        var data = clinux_capabilities()
        try check("capget") { clinux_capget(&data) }
        return CapabilityMask(rawValue: data.effective)
    }

    /// Takes every capability that the kernel knows and `bounding` lacks from the calling thread's bounding set, for
    /// ever. Needs CAP_SETPCAP, so it comes before `apply`, and before the user is changed.
    public func applyBounding() throws(SystemError) {
        let unwanted = CapabilityMask.all().subtracting(bounding)
        for number in 0..<UInt(64) where unwanted.rawValue >> UInt64(number) & 1 == 1 {
            try check("prctl PR_CAPBSET_DROP", "\(number)") { clinux_prctl(PR_CAPBSET_DROP, number, 0) }
        }
    }

    /// Keeps the permitted set over a change from user 0 to another one; then call `apply`.
    public static func keepOverUserChange(_ keep: Bool) throws(SystemError) {
        try check("prctl PR_SET_KEEPCAPS") { clinux_prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0) }
    }

    /// Sets effective, permitted, inheritable and then ambient, reads everything back, the bounding set too, and throws
    /// `.notPermitted` when it is not as asked. Capabilities that the running kernel does not know are left out.
    public func apply() throws(SystemError) {
        let all = CapabilityMask.all()
        var data = clinux_capabilities(
            effective: effective.intersection(all).rawValue, permitted: permitted.intersection(all).rawValue,
            inheritable: inheritable.intersection(all).rawValue)
        try check("capset") { clinux_capset(&data) }
        try check("prctl PR_CAP_AMBIENT_CLEAR_ALL") {
            clinux_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0)
        }
        for number in 0..<UInt(64) where ambient.intersection(all).rawValue >> UInt64(number) & 1 == 1 {
            try check("prctl PR_CAP_AMBIENT_RAISE", "\(number)") {
                clinux_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_RAISE), number)
            }
        }
        let wanted = CapabilitySets(
            bounding: bounding.intersection(all), effective: effective.intersection(all),
            permitted: permitted.intersection(all), inheritable: inheritable.intersection(all),
            ambient: ambient.intersection(all))
        if try Self.current() != wanted { throw SystemError(errno: .notPermitted, call: "capabilities read back") }
    }
}
