import CLinux
import Glibc
import SystemPackage

/// A part of the kernel that accounts for and limits the processes of a cgroup.
enum CgroupController: String, Sendable, CaseIterable {
    case cpu, cpuacct, cpuset, memory, devices, freezer, pids, blkio, hugetlb, rdma
    case networkClass = "net_cls"
    case networkPriority = "net_prio"
}

/// A directory for each controller that has one. They are few: a list is looked through sooner than a table is made.
struct ControllerDirectories: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        let controller: CgroupController
        var directory: FilePath
    }

    /// In the order of the controllers, each at most once.
    private(set) var entries: [Entry] = []
    /// Every directory once.
    private(set) var directories: [FilePath] = []

    init(_ entries: [Entry] = []) {
        for entry in entries { self[entry.controller] = entry.directory }
    }

    var isEmpty: Bool { entries.isEmpty }

    subscript(controller: CgroupController) -> FilePath? {
        get {
            for entry in entries where entry.controller == controller { return entry.directory }
            return nil
        }
        set {
            var changed: [Entry] = []
            for candidate in CgroupController.allCases {
                guard let directory = candidate == controller ? newValue : self[candidate] else { continue }
                changed.append(Entry(controller: candidate, directory: directory))
            }
            entries = changed
            directories = []
            for entry in entries where !directories.contains(entry.directory) { directories.append(entry.directory) }
        }
    }

    func filter(_ isWanted: (Entry) throws -> Bool) rethrows -> ControllerDirectories {
        ControllerDirectories(try entries.filter(isWanted))
    }
}

/// Where this machine keeps its cgroups: one tree for everything (version 2), or one tree for each controller (version 1,
/// also when a version 2 tree without controllers is mounted beside them, which is called hybrid).
struct CgroupLayout: Sendable, Equatable {
    enum Version: Sendable, Equatable {
        case one(ControllerDirectories)
        case two(FilePath)
    }

    let version: Version

    /// Looks where everybody mounts cgroups, and otherwise through all mounts of the calling process: they may be thousands,
    /// and the kernel takes its time for each.
    static func detect() throws(SystemError) -> CgroupLayout {
        let memberships = try OwnedFD.open("/proc/self/cgroup", .readOnly).readAll(limit: 1 << 20)
        if let usual = CgroupLayout(memberships: memberships, below: "/sys/fs/cgroup") { return usual }
        let file = try OwnedFD.open("/proc/self/mountinfo", .readOnly)
        return try CgroupLayout(mountInfo: try file.readAll(limit: 16 << 20))
    }

    /// Where each hierarchy with a controller is mounted by the names of its controllers, or version 2 at the root; nil where
    /// that is not so. See cgroups(7):
    ///
    ///     4:cpu,cpuacct:/user.slice
    ///     0::/user.slice
    init?(memberships: [UInt8], below root: FilePath) {
        var hierarchies = ControllerDirectories()
        for line in pieces(of: memberships, at: UInt8(ascii: "\n")) {
            let fields = pieces(of: Array(line.utf8), at: UInt8(ascii: ":"))
            // Between the colons of version 2 there is nothing.
            guard fields.count > 2 else { continue }
            let directory = root.appending(fields[1])
            let controllers = pieces(of: Array(fields[1].utf8), at: UInt8(ascii: ",")).compactMap { CgroupController(rawValue: $0) }
            guard controllers.isEmpty || Self.isMounted(.cgroups, at: directory) else { return nil }
            for controller in controllers { hierarchies[controller] = directory }
        }
        if !hierarchies.isEmpty {
            version = .one(hierarchies)
        } else if Self.isMounted(.unifiedCgroups, at: root) {
            version = .two(root)
        } else {
            return nil
        }
    }

    private static func isMounted(_ kind: FileSystemKind, at directory: FilePath) -> Bool {
        guard let opened = try? OwnedFD.open(directory, [.path, .directory]) else { return false }
        return (try? FileSystemKind(of: opened)) == kind
    }

    /// The first mount of each hierarchy counts. See proc_pid_mountinfo(5):
    ///
    ///     36 35 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
    ///                  [4] mount point                                 - type   source super options
    init(mountInfo: [UInt8]) throws(SystemError) {
        var hierarchies = ControllerDirectories()
        var unified: FilePath?
        for line in mountInfo.split(separator: UInt8(ascii: "\n")) {
            // Of many mounts few are cgroups.
            guard line.containsWord(" - cgroup") else { continue }
            let fields = line.split(separator: UInt8(ascii: " "))
            guard let dash = fields.firstIndex(of: [UInt8(ascii: "-")]), dash > 5, dash + 3 < fields.count else { continue }
            let type = String(decoding: fields[dash + 1], as: UTF8.self)
            let point = FilePath(String(decoding: fields[4], as: UTF8.self))
            if type == "cgroup2", unified == nil { unified = point }
            guard type == "cgroup" else { continue }
            for option in fields[dash + 3].split(separator: UInt8(ascii: ",")) {
                guard let controller = CgroupController(rawValue: String(decoding: option, as: UTF8.self)),
                    hierarchies[controller] == nil
                else { continue }
                hierarchies[controller] = point
            }
        }
        if !hierarchies.isEmpty {
            version = .one(hierarchies)
        } else if let unified {
            version = .two(unified)
        } else {
            throw SystemError(errno: .noSuchFileOrDirectory, call: "find cgroup mount", subject: "/proc/self/mountinfo")
        }
    }
}

extension ArraySlice<UInt8> {
    fileprivate func containsWord(_ word: StaticString) -> Bool {
        withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return false }
            return memmem(start, bytes.count, word.utf8Start, word.utf8CodeUnitCount) != nil
        }
    }
}
