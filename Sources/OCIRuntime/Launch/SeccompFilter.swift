import Linux
import OCI

/// A seccomp profile of the configuration, in the kernel's form.
struct SeccompFilter: Sendable, Equatable {
    var program: SeccompProgram
    var flags: SeccompProgram.Flags
    /// Some calls are left to somebody else.
    var needsListener: Bool

    init(_ profile: RuntimeSpec.Seccomp) throws {
        let rules = try SeccompProfile(profile)
        program = try SeccompProgram.compile(rules)
        flags = try SeccompProgram.Flags(profile.flags)
        needsListener = rules.needsListener
    }

    init(program: SeccompProgram, flags: SeccompProgram.Flags) {
        self.program = program
        self.flags = flags
        needsListener = false
    }
}

/// What the reading of a configuration found out about its filter.
enum KnownFilter: Sendable {
    /// Made at an earlier start. The configuration was read without the profile.
    case compiled(SeccompFilter)
    /// Not made before. It will be kept under the text of its profile.
    case new(SeccompCache, text: [UInt8])
}

extension SeccompFilter {
    /// The filter of a configuration, if it has one.
    static func find(_ known: KnownFilter?, for profile: RuntimeSpec.Seccomp?) throws -> SeccompFilter? {
        if case .compiled(let filter)? = known { return filter }
        guard let profile else { return nil }
        let filter = try SeccompFilter(profile)
        if case .new(let cache, let text)? = known { cache.keep(filter, for: text) }
        return filter
    }
}
