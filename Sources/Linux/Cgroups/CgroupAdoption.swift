import CLinux
import Glibc
import SystemPackage

extension Cgroup {
    /// A group that somebody else has made, as systemd does, perhaps not in every hierarchy: what is missing is made, and
    /// the limits are set.
    public static func adopt(path: String, resources: Resources) throws(SystemError) -> Cgroup {
        let cgroup = try place(path, for: resources)
        try cgroup.makeMissingDirectories(for: resources)
        try cgroup.apply(resources)
        try cgroup.apply(devices: resources.devices)
        return cgroup
    }

    /// The same group with a place for these limits as well: on version 1 it is made in the hierarchies that it lacks, and
    /// its processes enter there.
    public func widened(for resources: Resources) throws(SystemError) -> Cgroup {
        guard case .one(let present) = trees else { return self }
        guard case .one(let wanted) = try Cgroup.place(path, for: resources).trees else { return self }
        let missing = wanted.filter { present[$0.controller] == nil }
        guard !missing.isEmpty else { return self }
        try Cgroup(path: path, trees: .one(missing)).makeMissingDirectories(for: resources)
        var moved: Set<Int32> = []
        // Processes that are born meanwhile are where their parents were.
        for _ in 0..<100 {
            let fresh = try processes().filter { !moved.contains($0) }
            if fresh.isEmpty { break }
            for directory in missing.directories {
                for pid in fresh { try Self.enterIfAlive(pid, directory) }
            }
            moved.formUnion(fresh)
        }
        return Cgroup(path: path, trees: .one(ControllerDirectories(present.entries + missing.entries)))
    }

    private static func enterIfAlive(_ pid: Int32, _ directory: FilePath) throws(SystemError) {
        do throws(SystemError) {
            try write("\(pid)", to: directory.appending("cgroup.procs"))
        } catch {
            if error.errno != .noSuchProcess { throw error }
        }
    }

    /// A group below this one that exists: for everything, or on version 1 for the named controllers only, while the
    /// others stay those of this group. Fails where there is none, and for a path that leads out.
    public func descendant(_ below: String, controllers: [String]) throws(SystemError) -> Cgroup {
        func refuse(_ errno: Errno) -> SystemError { SystemError(errno: errno, call: "cgroup", subject: below) }
        let parts = below.split(separator: "/")
        guard parts.allSatisfy({ $0 != "." && $0 != ".." && !$0.utf8.contains(0) }) else { throw refuse(.invalidArgument) }
        let suffix = FilePath(parts.joined(separator: "/"))
        let inner = parts.isEmpty ? path : path + "/" + suffix.string
        switch trees {
        case .two(let directory):
            // The one hierarchy has no name.
            guard controllers.isEmpty else { throw refuse(.invalidArgument) }
            let place = parts.isEmpty ? directory : directory.appending(suffix.string)
            guard Self.exists(place) else { throw refuse(.noSuchFileOrDirectory) }
            return Cgroup(path: inner, trees: .two(place))
        case .one(var all):
            for name in controllers where CgroupController(rawValue: name).flatMap({ all[$0] }) == nil { throw refuse(.invalidArgument) }
            for entry in all.entries where controllers.isEmpty || controllers.contains(entry.controller.rawValue) {
                let place = parts.isEmpty ? entry.directory : entry.directory.appending(suffix.string)
                guard Self.exists(place) else {
                    // Without a name it is for those that have it.
                    if controllers.isEmpty { continue }
                    throw refuse(.noSuchFileOrDirectory)
                }
                all[entry.controller] = place
            }
            return Cgroup(path: path, trees: .one(all))
        }
    }
}
