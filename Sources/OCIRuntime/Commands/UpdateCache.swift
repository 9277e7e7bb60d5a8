import Linux
import OCI
import SystemPackage

extension RuntimeRoot {
    /// The part of `update` for caches and memory bandwidth (resctrl): other shares for a living container.
    public func updateCache(_ id: String, l3: String?, bandwidth: String?) throws {
        let (l3, bandwidth) = (l3.flatMap { $0.isEmpty ? nil : $0 }, bandwidth.flatMap { $0.isEmpty ? nil : $0 })
        if l3 == nil, bandwidth == nil { return }
        let state = try load(id)
        guard status(state) != .stopped else { throw RuntimeError("container not running") }
        func isEnabled(_ resource: String) throws -> Bool {
            try lstatIfExists(ResourceDirectory.usualRoot.appending("info").appending(resource)) != nil
        }
        if l3 != nil, try !isEnabled("L3") { throw RuntimeError("Intel RDT/CAT: l3 cache schema is not enabled") }
        if bandwidth != nil, try !isEnabled("MB") { throw RuntimeError("Intel RDT/MBA: memory bandwidth schema is not enabled") }
        var wanted = try config(id).linux.intelRdt ?? RuntimeSpec.IntelRdt()
        wanted.l3CacheSchema = l3
        wanted.memBwSchema = bandwidth
        wanted.schemata = []
        try ResourceDirectory(wanted, id: id).change(state.pid)
    }
}

extension ResourceDirectory {
    /// Writes the schemas whether or not the class exists, and sees to it that the process is in it.
    func change(_ pid: Int32) throws {
        try makeDirectories(place, mode: 0o755)
        for line in lines {
            try OwnedFD.open(place.appending("schemata"), .writeOnly).writeAll(Array("\(line)\n".utf8))
        }
        try OwnedFD.open(place.appending("tasks"), .writeOnly).writeAll(Array("\(pid)".utf8))
    }
}
