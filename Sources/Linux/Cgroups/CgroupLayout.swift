import CLinux
import Glibc
import SystemPackage

/// A part of the kernel that accounts for and limits the processes of a cgroup.
enum CgroupController: String, Sendable, CaseIterable {
    case cpu, cpuacct, cpuset, memory, devices, freezer, pids, blkio, hugetlb, rdma
    case networkClass = "net_cls"
    case networkPriority = "net_prio"
}

/// Where this machine keeps its cgroups: one tree for everything (version 2), or one tree for each controller (version 1,
/// also when a version 2 tree without controllers is mounted beside them, which is called hybrid).
struct CgroupLayout: Sendable, Equatable {
    enum Version: Sendable, Equatable {
        case one([CgroupController: FilePath])
        case two(FilePath)
    }

    let version: Version

    /// Reads the mounts of the calling process.
    static func detect() throws(SystemError) -> CgroupLayout {
        let file = try OwnedFD.open("/proc/self/mountinfo", .readOnly)
        return try CgroupLayout(mountInfo: try file.readAll(limit: 16 << 20))
    }

    /// The first mount of each hierarchy counts. See proc_pid_mountinfo(5):
    ///
    ///     36 35 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
    ///                  [4] mount point                                 - type   source super options
    init(mountInfo: [UInt8]) throws(SystemError) {
        var hierarchies: [CgroupController: FilePath] = [:]
        var unified: FilePath?
        for line in mountInfo.split(separator: UInt8(ascii: "\n")) {
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
