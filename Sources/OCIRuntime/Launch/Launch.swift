import Linux
public import OCI
import SystemPackage

/// Clones the first process of a container. It sets everything up and then waits to be released.
/// Only for programs with one thread. When this throws, nothing is left but the cgroup, which is the caller's.
public func launchContainer(_ spec: RuntimeSpec, _ options: LaunchOptions) throws -> Launched {
    let plan = try ContainerPlan(spec, options)
    var namespaces = plan.newNamespaces.subtracting(.cgroup)
    if spec.linux.timeOffsets != nil { namespaces.subtract(.time) }
    let joinedPid = plan.joinedNamespaces.first { $0.kind == .pid }?.namespace
    let launched = try clone(namespaces, pidNamespace: joinedPid, options) { channel in
        try ContainerInit(plan: plan).run(channel)
    }
    do {
        if plan.newNamespaces.contains(.user) {
            try IDMappings.write(spec.linux, pid: launched.pid)
            try options.cgroup?.enter(launched.pid)
        }
        try adjustOOMScore(spec.process, pid: launched.pid)
        try options.afterClone?(launched.pid)
        if plan.waitsForParent { try launched.begin() }
    } catch {
        launched.abandon()
        throw error
    }
    return launched
}

/// Clones a process into a running container, whose first process is `pid`, with the container's seccomp rules. It waits
/// to be released. `options.cgroup` should be the container's.
public func launchExec(
    _ process: RuntimeSpec.Process, in pid: Int32, seccomp: RuntimeSpec.Seccomp?, _ options: LaunchOptions
) throws -> Launched {
    let plan = try ProcessPlan(process, seccomp: seccomp)
    let container = HeldFD(try openProcess(pid))
    let differing = try NamespaceComparison.differing(from: pid)
    let pidNamespace = differing.contains(.pid) ? container : nil
    let launched = try clone([], pidNamespace: pidNamespace, options) { channel in
        try Identity.hideFromOthers()
        try Identity.startSession()
        try options.cgroup?.enterFromChild()
        let joined = differing.subtracting(.pid)
        if !joined.isEmpty { try joined.join(container.fd) }
        if joined.contains(.user) { try Identity.setUser(0, group: 0, additionalGroups: []) }
        let root = try OwnedFD.open("/", [.path, .directory])
        let last = ProcessInit(plan: plan, options: options)
        try last.prepareStreams(root: root, withConsole: false, channel: channel)
        try last.finish(root: root, channel: channel)
    }
    do {
        try adjustOOMScore(process, pid: launched.pid)
    } catch {
        launched.abandon()
        throw error
    }
    return launched
}

/// Clones and runs `body` in the child. What it throws travels to the parent.
private func clone(
    _ namespaces: Namespaces, pidNamespace: HeldFD?, _ options: LaunchOptions,
    _ body: (borrowing Channel) throws -> Void
) throws -> Launched {
    let pair = try Channel.Pair()
    var cgroupDirectory: HeldFD?
    if let directory = try options.cgroup?.directoryFD() { cgroupDirectory = HeldFD(directory) }
    let side = try inPidNamespace(pidNamespace) { () throws(SystemError) in
        try cloneProcess(namespaces, cgroupDirectory: cgroupDirectory?.fd.raw)
    }
    switch consume side {
    case .parent(let pid, let pidfd):
        return Launched(pid: pid, pidfd: pidfd, channel: pair.takeParent())
    case .child:
        let channel = pair.takeChild()
        // As a new program expects it: what the caller ignores or blocks is its own affair.
        Identity.resetSignals()
        do {
            try body(channel)
            endProcess(0)
        } catch {
            let failure =
                error as? LaunchError ?? LaunchError(message: "error during container init: \(error)")
            report(failure, channel)
            endProcess(failure.exitCode)
        }
    }
}

private func report(_ failure: LaunchError, _ channel: borrowing Channel) {
    do {
        try channel.send(LaunchMessage.failed(failure).bytes)
    } catch {
        // The caller has gone after `create`. If nobody hears this either, the exit code has to do.
        try? StandardStream.error.write("\(failure)\n")
    }
}

/// Children made by `body` are born into a pid namespace. The caller itself stays where it is.
private func inPidNamespace(
    _ namespace: HeldFD?, _ body: () throws(SystemError) -> CloneSide
) throws(SystemError) -> CloneSide {
    guard let namespace else { return try body() }
    let own = try OwnedFD.open("/proc/self/ns/pid", .readOnly)
    try Namespaces.pid.join(namespace.fd)
    let side: CloneSide
    do {
        side = try body()
    } catch {
        try Namespaces.pid.join(own)
        throw error
    }
    switch consume side {
    case .child: return .child
    case .parent(let pid, let pidfd):
        try Namespaces.pid.join(own)
        return .parent(pid: pid, pidfd: pidfd)
    }
}

private func adjustOOMScore(_ process: RuntimeSpec.Process, pid: Int32) throws {
    guard let score = process.oomScoreAdj else { return }
    let path = FilePath("/proc/\(pid)/oom_score_adj")
    // Less than one has needs a capability that even root may lack, so what holds already is not written again.
    let present = try OwnedFD.open(path, .readOnly).readAll(limit: 64)
    if present.prefix(while: { $0 != 0x0A }).elementsEqual("\(score)".utf8) { return }
    try OwnedFD.open(path, .writeOnly).writeAll(Array("\(score)".utf8))
}

/// The tables of a new user namespace.
enum IDMappings {
    static func write(_ linux: RuntimeSpec.Linux, pid: Int32) throws {
        for (name, mappings) in [("uid_map", linux.uidMappings), ("gid_map", linux.gidMappings)] {
            let lines = mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
            let file = try OwnedFD.open(FilePath("/proc/\(pid)/\(name)"), .writeOnly)
            try file.writeAll(Array(lines.utf8))
        }
    }
}

/// Which namespaces of another process are not the caller's.
enum NamespaceComparison {
    static func differing(from pid: Int32) throws(SystemError) -> Namespaces {
        let names: [(String, Namespaces)] = [
            ("user", .user), ("mnt", .mount), ("pid", .pid), ("net", .network), ("ipc", .ipc), ("uts", .uts),
            ("cgroup", .cgroup), ("time", .time),
        ]
        var differing: Namespaces = []
        for (name, kind) in names {
            let own = try identity("/proc/self/ns/\(name)")
            if try own != identity("/proc/\(pid)/ns/\(name)") { differing.insert(kind) }
        }
        return differing
    }

    private static func identity(_ path: String) throws(SystemError) -> UInt64 {
        try fstat(try OwnedFD.open(FilePath(path), .path)).inode
    }
}
