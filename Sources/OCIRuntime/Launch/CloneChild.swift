import Linux
import SystemPackage

/// How the process for a container comes into being.
struct CloneRequest {
    /// Made with it.
    var namespaces: Namespaces
    /// Joined with it; the caller itself stays where it is.
    var pidNamespace: HeldFD?
    /// Entered before the clone, by a process in between, which then ends: see `NamespacePlan.needsJoiningFirst`.
    var joining: (() throws -> Void)?
    /// What that process has to do before nobody may look into it any more, itself included.
    var beforeJoining: () throws -> Void = {}
    /// Becomes the new network namespace, where one is wanted and this succeeds.
    var network: NetworkNamespaceAhead?
}

/// Clones and runs `body` in the child. What it throws travels to the parent.
func cloneChild(
    _ request: CloneRequest, _ options: LaunchOptions, _ body: (borrowing Channel) throws -> Void
) throws -> Launched {
    var cgroupDirectory: HeldFD?
    if let directory = try options.cgroup?.directoryFD() { cgroupDirectory = HeldFD(directory) }
    if let joining = request.joining { return try cloneBehind(joining, request, cgroupDirectory, options, body) }
    let pair = try Channel.Pair()
    var network: HeldFD?
    if let made = request.network?.take() { network = HeldFD(made) }
    let namespaces = network == nil ? request.namespaces : request.namespaces.subtracting(.network)
    // Whoever looks for the process's namespaces by its pid has to find the right ones from the beginning.
    let side = try born(in: network, .network, "net") { () throws(SystemError) in
        try born(in: request.pidNamespace, .pid, "pid") { () throws(SystemError) in
            try cloneProcess(namespaces, cgroupDirectory: cgroupDirectory?.fd.raw)
        }
    }
    switch consume side {
    case .parent(let pid, let pidfd): return Launched(pid: pid, pidfd: pidfd, channel: pair.takeParent())
    case .child: runChild(pair.takeChild(), body)
    }
}

/// With a process in between, whose child becomes ours.
private func cloneBehind(
    _ joining: () throws -> Void, _ request: CloneRequest, _ cgroupDirectory: HeldFD?, _ options: LaunchOptions,
    _ body: (borrowing Channel) throws -> Void
) throws -> Launched {
    let pair = try Channel.Pair()
    let news = try Channel.Pair()
    switch try cloneProcess([], cgroupDirectory: cgroupDirectory?.fd.raw) {
    case .child:
        let channel = news.takeChild()
        do {
            try request.beforeJoining()
            try Identity.hideFromOthers()
            try options.cgroup?.enterFromChild()
            try joining()
            switch try cloneProcess(request.namespaces, asSibling: true) {
            case .child: runChild(pair.takeChild(), body)
            case .parent(let pid, _): try channel.send(LaunchMessage.cloned(pid).bytes)
            }
            endProcess(0)
        } catch {
            report(failure(error), channel)
            endProcess(1)
        }
    case .parent(let pid, _):
        let channel = news.takeParent()
        let answer = try channel.receive()?.bytes ?? []
        _ = try reap(pid)
        switch LaunchMessage(answer) {
        case .cloned(let pid): return Launched(pid: pid, pidfd: try openProcess(pid), channel: pair.takeParent())
        case .failed(let error): throw error
        default: throw LaunchError(message: "container process ended before it was in its namespaces")
        }
    }
}

private func runChild(_ channel: consuming Channel, _ body: (borrowing Channel) throws -> Void) -> Never {
    // As a new program expects it: what the caller ignores or blocks is its own affair.
    Identity.resetSignals()
    do {
        try body(channel)
        endProcess(0)
    } catch {
        let failure = failure(error)
        report(failure, channel)
        endProcess(failure.exitCode)
    }
}

private func failure(_ error: any Error) -> LaunchError {
    error as? LaunchError ?? LaunchError(message: "error during container init: \(error)")
}

private func report(_ failure: LaunchError, _ channel: borrowing Channel) {
    do {
        try channel.send(LaunchMessage.failed(failure).bytes)
    } catch {
        // The caller has gone after `create`. If nobody hears this either, the exit code has to do.
        try? StandardStream.error.write("\(failure)\n")
    }
}

/// The child made by `body` is born into a namespace. The caller itself is where it was afterwards.
private func born(
    in namespace: HeldFD?, _ kind: Namespaces, _ name: String, _ body: () throws(SystemError) -> CloneSide
) throws(SystemError) -> CloneSide {
    guard let namespace else { return try body() }
    let own = try OwnedFD.open(FilePath("/proc/self/ns/\(name)"), .readOnly)
    try kind.join(namespace.fd)
    let side: CloneSide
    do {
        side = try body()
    } catch {
        try kind.join(own)
        throw error
    }
    switch consume side {
    case .child: return .child
    case .parent(let pid, let pidfd):
        try kind.join(own)
        return .parent(pid: pid, pidfd: pidfd)
    }
}
