import Linux
import OCI
import SystemPackage

/// A class of service in the resctrl file system: the share of caches and memory bandwidth that its processes get.
/// https://docs.kernel.org/filesystems/resctrl.html
struct ResourceDirectory {
    private let wanted: RuntimeSpec.IntelRdt
    private let id: String
    private let root: FilePath
    private let group: FilePath
    var place: FilePath { group }

    /// Where the file system is mounted by custom.
    static let usualRoot: FilePath = "/sys/fs/resctrl"

    /// Checks everything and makes nothing. `root` is the file system; by default it has to be mounted at its usual place.
    init(_ wanted: RuntimeSpec.IntelRdt, id: String, root: FilePath? = nil) throws(LaunchError) {
        for line in wanted.schemata + [wanted.l3CacheSchema, wanted.memBwSchema].compactMap({ $0 }) where line.utf8.contains(10) {
            throw Self.refusal("a schema has a line break")
        }
        if let line = wanted.memBwSchema, !line.hasPrefix("MB:") { throw Self.refusal("memBwSchema must begin with MB:") }
        let name = wanted.closID ?? id
        if name != "/",
            name.isEmpty || name.contains("/") || name == "." || name == ".." || name.utf8.contains(0)
                || ["info", "mon_data", "mon_groups"].contains(name)
        {
            throw Self.refusal("invalid closID \(name)")
        }
        if root == nil {
            guard let place = try? OwnedFD.open(Self.usualRoot, [.path, .directory]),
                (try? FileSystemKind(of: place)) == .resourceControl
            else { throw Self.refusal("no resctrl file system is mounted at \(Self.usualRoot)") }
        }
        self.wanted = wanted
        self.id = id
        self.root = root ?? Self.usualRoot
        group = name == "/" ? self.root : self.root.appending(name)
    }

    private static func refusal(_ text: String) -> LaunchError { LaunchError(message: "intelRdt: \(text)") }

    /// All lines, in the order in which they have to be written.
    var lines: [String] { [wanted.l3CacheSchema, wanted.memBwSchema].compactMap { $0 } + wanted.schemata }

    /// Makes or finds the class, and moves the process in.
    func enter(_ pid: Int32) throws {
        do {
            let exists = try lstatIfExists(group) != nil
            if exists, wanted.closID != nil {
                try compare()
            } else if wanted.closID != nil, lines.isEmpty {
                throw Self.refusal("closID \(wanted.closID ?? "") does not exist")
            } else {
                if !exists { try makeDirectories(group, mode: 0o755) }
                if !lines.isEmpty { try write(lines.map { $0 + "\n" }.joined(), group.appending("schemata")) }
            }
            try write("\(pid)", group.appending("tasks"))
            guard wanted.enableMonitoring else { return }
            let monitor = group.appending("mon_groups").appending(id)
            try makeDirectories(monitor, mode: 0o755)
            try write("\(pid)", monitor.appending("tasks"))
        } catch let error as SystemError {
            throw Self.refusal("\(error)")
        }
    }

    /// Moves a process that joins the container in.
    func join(_ pid: Int32) throws(LaunchError) {
        do throws(SystemError) {
            try write("\(pid)", group.appending("tasks"))
            if wanted.enableMonitoring {
                try write("\(pid)", group.appending("mon_groups").appending(id).appending("tasks"))
            }
        } catch {
            throw Self.refusal("\(error)")
        }
    }

    /// A class that others have made has to be what is wanted.
    private func compare() throws {
        let text = String(decoding: try OwnedFD.open(group.appending("schemata"), .readOnly).readAll(limit: 1 << 16), as: UTF8.self)
        let present = text.split(separator: "\n").map { $0.filter { $0 != " " } }
        for line in lines where !present.contains(line.filter { $0 != " " }) {
            throw Self.refusal("schemata of the existing closID \(wanted.closID ?? "") do not match \(line)")
        }
    }

    private func write(_ text: String, _ file: FilePath) throws(SystemError) {
        try OwnedFD.open(file, .writeOnly).writeAll(Array(text.utf8))
    }

    /// Removes what was made for this container alone. A class that has a name of its own stays.
    func removeOwn() {
        // Gone already, or the machine's last word: there is nobody who could do more.
        if wanted.enableMonitoring { try? removeDirectory(group.appending("mon_groups").appending(id)) }
        if wanted.closID == nil { try? removeDirectory(group) }
    }

    private func removeDirectory(_ path: FilePath) throws {
        guard let name = path.lastComponent?.string else { return }
        let parent = try OwnedFD.open(path.removingLastComponent(), [.path, .directory])
        try unlinkat(parent, try FileName(name), directory: true)
    }
}
