import CLinux
import Glibc
import SystemPackage

/// The kernel's group of a container's processes: limits, accounting, pause, kill. Works on version 1, version 2 and
/// hybrid machines and touches nothing outside its own path.
///
/// The value is only a name; the group lives until `remove()`.
public struct Cgroup: Sendable, Equatable {
    /// The place below the root of each hierarchy: `/skiff/<id>`.
    public let path: String
    let trees: Trees

    enum Trees: Sendable, Equatable {
        /// The group's directory in the hierarchy of each controller; some are one and the same directory.
        case one(ControllerDirectories)
        case two(FilePath)
    }

    /// Makes the group, and the groups above it where they are missing, and sets its limits. A group that exists already
    /// is an error (`.fileExists`) unless it has no processes left: then it is what a killed supervisor left behind, and
    /// is made anew. On failure nothing is left.
    public static func create(path: String, resources: Resources = Resources()) throws(SystemError) -> Cgroup {
        let layout = try CgroupLayout.detect()
        let cgroup = Cgroup(path: try normalized(path), layout: layout, wanted: resources.wants)
        var made: [FilePath] = []
        do {
            try cgroup.makeDirectories(&made, for: resources)
            try cgroup.apply(resources)
            try cgroup.apply(devices: resources.devices)
        } catch {
            // What matters to the caller is the first failure; what cannot be removed now is empty and harmless.
            try? cgroup.remove(made, within: 1)
            throw error
        }
        return cgroup
    }

    /// A group that exists. Hierarchies in which it has no directory are left out.
    public static func open(path: String) throws(SystemError) -> Cgroup {
        let path = try normalized(path)
        let cgroup = Cgroup(path: path, layout: try CgroupLayout.detect(), wanted: { _ in true })
        switch cgroup.trees {
        case .one(let all):
            let existing = all.filter { exists($0.directory) }
            if existing.isEmpty { throw SystemError(errno: .noSuchFileOrDirectory, call: "open cgroup", subject: path) }
            return Cgroup(path: path, trees: .one(existing))
        case .two(let directory):
            if !exists(directory) { throw SystemError(errno: .noSuchFileOrDirectory, call: "open cgroup", subject: path) }
            return cgroup
        }
    }

    /// Changes limits of a living group; device rules are not changed.
    public func update(_ resources: Resources) throws(SystemError) {
        try apply(resources)
    }

    /// Moves the calling process in. It must have one thread only: version 1 takes threads one by one, and joining by
    /// thread costs 0.05 ms where joining by process costs 10 to 20.
    public func enterFromChild() throws(SystemError) {
        try enter(0)
    }

    /// Moves another process in, one with a single thread (of others only the first thread moves on version 1).
    public func enter(_ pid: pid_t) throws(SystemError) {
        for directory in directories {
            let isOne = if case .one = trees { true } else { false }
            try Self.write("\(pid)", to: directory.appending(isOne ? "tasks" : "cgroup.procs"))
        }
    }

    /// The directory for `CLONE_INTO_CGROUP`; nil where the kernel cannot do that (version 1).
    public func directoryFD() throws(SystemError) -> OwnedFD? {
        guard case .two(let directory) = trees else { return nil }
        return try OwnedFD.open(directory, [.path, .directory])
    }

    /// Every directory once, those with the memory and the processes first.
    var directories: [FilePath] {
        switch trees {
        case .two(let directory): return [directory]
        case .one(let all):
            return all.directories
        }
    }

    /// The directory of one controller, nil where the group has none.
    func directory(_ controller: CgroupController) -> FilePath? {
        switch trees {
        case .two(let directory): directory
        case .one(let all): all[controller]
        }
    }
}

extension Cgroup {
    private init(path: String, layout: CgroupLayout, wanted: (CgroupController) -> Bool) {
        self.path = path
        switch layout.version {
        case .two(let root): trees = .two(root.appending(String(path.dropFirst())))
        case .one(let roots):
            let below = String(path.dropFirst())
            trees = .one(
                ControllerDirectories(
                    roots.entries.filter { wanted($0.controller) }.map {
                        .init(controller: $0.controller, directory: $0.directory.appending(below))
                    }))
        }
    }

    /// One leading slash, no empty, `.` or `..` component, and not the root itself.
    static func normalized(_ path: String) throws(SystemError) -> String {
        let components = pathComponents(path)
        guard !components.isEmpty, path.utf8.count < 2048,
            components.allSatisfy({ $0 != "." && $0 != ".." && !$0.utf8.contains(0) && !$0.utf8.contains(10) })
        else { throw SystemError(errno: .invalidArgument, call: "cgroup path", subject: path) }
        var result = ""
        for component in components { result += "/" + component }
        return result
    }

    /// Where a group of this path and with these limits lies, whether or not it exists.
    static func place(_ path: String, for resources: Resources) throws(SystemError) -> Cgroup {
        Cgroup(path: try normalized(path), layout: try CgroupLayout.detect(), wanted: resources.wants)
    }

    /// Makes the directories that do not exist, and prepares all of them for the limits.
    func makeMissingDirectories(for resources: Resources) throws(SystemError) {
        let cpuset: FilePath? = if case .one(let all) = trees { all[.cpuset] } else { nil }
        for directory in directories {
            let chain = chain(directory)
            for member in chain where !Self.exists(member) { try Self.mkdir(member) }
            if directory == cpuset { for member in chain { try Self.inheritProcessors(member) } }
            guard case .two = trees else { continue }
            do throws(SystemError) {
                try Self.delegateControllers(chain, resources)
            } catch {
                // What lies above a user's own groups is not the user's to change. A limit that is missing for it says so.
                if error.errno != .permissionDenied { throw error }
            }
        }
    }

    /// How many directories lie between the root of a hierarchy and the group's directory, itself included.
    private var depth: Int { pathComponents(path).count }

    /// The group's directory and those above it that belong to the path, the topmost first.
    func chain(_ directory: FilePath) -> [FilePath] {
        var chain = [directory]
        for _ in 1..<depth {
            guard let last = chain.last else { break }
            chain.append(last.place.directory)
        }
        return chain.reversed()
    }

    /// `made` gets each directory of the group itself, so that a failure takes away no other's.
    private func makeDirectories(_ made: inout [FilePath], for resources: Resources) throws(SystemError) {
        let cpuset: FilePath? = if case .one(let all) = trees { all[.cpuset] } else { nil }
        for directory in directories {
            let chain = chain(directory)
            try Self.makeDirectory(chain)
            made.append(directory)
            if directory == cpuset { for member in chain { try Self.inheritProcessors(member) } }
            if case .two = trees { try Self.delegateControllers(chain, resources) }
        }
    }

    private static func makeDirectory(_ chain: [FilePath]) throws(SystemError) {
        // Another container that ends removes an empty parent just when we have made it; then we begin again.
        for attempt in 1... {
            do throws(SystemError) {
                for parent in chain.dropLast() {
                    do { try mkdir(parent) } catch { if error.errno != .fileExists { throw error } }
                }
                guard let own = chain.last else { return }
                do {
                    try mkdir(own)
                } catch {
                    if error.errno != .fileExists { throw error }
                    try check("rmdir", own.string) { own.withPlatformString { rmdir($0) } }
                    try mkdir(own)
                }
                return
            } catch {
                if error.errno != .noSuchFileOrDirectory || attempt == 100 { throw error }
            }
        }
    }

    private static func mkdir(_ path: FilePath) throws(SystemError) {
        try check("mkdir", path.string) { path.withPlatformString { Glibc.mkdir($0, 0o755) } }
    }

    static func exists(_ path: FilePath) -> Bool {
        path.withPlatformString { access($0, F_OK) } == 0
    }

    /// A new cpuset of version 1 is empty and lets nobody in until it has processors and memory nodes.
    private static func inheritProcessors(_ directory: FilePath) throws(SystemError) {
        for name in ["cpuset.cpus", "cpuset.mems"] where try read(directory.appending(name)).isEmpty {
            try write(try read(directory.place.directory.appending(name)), to: directory.appending(name))
        }
    }

    /// Version 2: each group above the container's own hands down the controllers that it has itself.
    private static func delegateControllers(_ chain: [FilePath], _ resources: Resources) throws(SystemError) {
        guard let top = chain.first else { return }
        var wanted = ["cpu", "cpuset", "memory", "pids", "io"]
        for name in ["hugetlb", "rdma", "misc"] {
            let isLimited = CgroupController(rawValue: name).map(resources.wants) ?? false
            if isLimited || resources.unified.keys.contains(where: { $0.hasPrefix("\(name).") }) { wanted.append(name) }
        }
        for parent in [top.place.directory] + chain.dropLast() {
            let offered = try read(parent.appending("cgroup.controllers")).split(separator: " ")
            let given = try read(parent.appending("cgroup.subtree_control")).split(separator: " ")
            for name in offered where !given.contains(name) && wanted.contains(String(name)) {
                try write("+\(name)", to: parent.appending("cgroup.subtree_control"))
            }
        }
    }
}

extension Cgroup {
    /// Removes the group with all groups that its processes made below it, then the groups above it when they are empty.
    /// Processes that were killed need a moment to leave; this waits for them, at most `seconds`. A group that is gone
    /// already is not an error.
    public func remove(within seconds: Double = 5) throws(SystemError) {
        try remove(directories, within: seconds)
    }

    private func remove(_ directories: [FilePath], within seconds: Double) throws(SystemError) {
        let deadline = monotonicSeconds() + seconds
        for directory in directories {
            try removeTree(directory, until: deadline)
            for parent in chain(directory).dropLast().reversed() {
                // Not empty: other containers live there, and the last of them removes it.
                if parent.withPlatformString({ rmdir($0) }) != 0 { break }
            }
        }
    }

    private func removeTree(_ directory: FilePath, until deadline: Double) throws(SystemError) {
        var pause: UInt32 = 100
        while true {
            if directory.withPlatformString({ rmdir($0) }) == 0 { return }
            let failure = Errno(rawValue: Glibc.errno)
            switch failure {
            case .noSuchFileOrDirectory: return
            case .resourceBusy, .directoryNotEmpty:
                for child in Self.subdirectories(of: directory) { try removeTree(child, until: deadline) }
                if monotonicSeconds() > deadline { throw SystemError(errno: failure, call: "rmdir", subject: directory.string) }
                // Version 1 tells nobody when the last process has left, so we look again, ever less often.
                usleep(pause)
                pause = min(pause * 2, 20_000)
            default: throw SystemError(errno: failure, call: "rmdir", subject: directory.string)
            }
        }
    }

    static func subdirectories(of directory: FilePath) -> [FilePath] {
        guard let stream = directory.withPlatformString({ opendir($0) }) else { return [] }
        defer { closedir(stream) }
        var found: [FilePath] = []
        while let entry = readdir(stream) {
            guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { found.append(directory.appending(name)) }
        }
        return found
    }
}

/// Seconds of a clock that nobody sets, to measure spans with.
func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}
