extension Cgroup {
    /// Whether this machine keeps its cgroups in one tree (version 2); false on version 1 and hybrid machines.
    public static func isVersionTwo() throws(SystemError) -> Bool {
        if case .two = try CgroupLayout.detect().version { true } else { false }
    }
}
