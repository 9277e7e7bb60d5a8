import Linux
import OCI

/// What a thread of a restored container may have at most: rights and filters belong to threads.
struct RestoredRights {
    private let spec: RuntimeSpec
    private let allowed: UInt64

    init(_ spec: RuntimeSpec) {
        self.spec = spec
        let sets = spec.process.capabilities ?? RuntimeSpec.Capabilities()
        let names = sets.bounding + sets.permitted + sets.effective + sets.inheritable + sets.ambient
        allowed = names.reduce(0) { mask, name in Capability(name: name).map { mask | 1 << UInt64($0.rawValue) } ?? mask }
    }

    /// What is wrong, by the thread's `status` in procfs; nil where nothing is. A thread has no more rights than the
    /// configuration gives to the first process, and a filter. One that somebody has given more to (`exec --cap`) does not
    /// come back.
    func obstacle(_ status: [UInt8], isFirst: Bool) -> String? {
        func number(_ name: String, radix: Int = 10) -> UInt64 {
            // What is not there is more than anybody has.
            ProcessFile.value(name, in: status).flatMap { UInt64($0, radix: radix) } ?? .max
        }
        for name in ["CapBnd", "CapPrm", "CapInh", "CapAmb"] where number(name, radix: 16) & ~allowed != 0 {
            return "has capabilities (\(name)) that it does not give"
        }
        if spec.linux.seccomp != nil, number("Seccomp") != 2 { return "has no seccomp filter" }
        if isFirst, spec.process.noNewPrivileges, number("NoNewPrivs") != 1 { return "may get new privileges (noNewPrivileges)" }
        return nil
    }
}
