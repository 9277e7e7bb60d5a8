import SystemPackage

extension Cgroup {
    /// Whether this machine keeps its cgroups in one tree (version 2); false on version 1 and hybrid machines.
    public static func isVersionTwo() throws(SystemError) -> Bool {
        if case .two = try CgroupLayout.detect().version { true } else { false }
    }

    /// Whether real-time processes can be limited: on version 1 only, and not by every kernel.
    public static func limitsRealTime() throws(SystemError) -> Bool {
        guard case .one(let roots) = try CgroupLayout.detect().version, let root = roots[.cpu] else { return false }
        return exists(root.appending("cpu.rt_runtime_us"))
    }
}
