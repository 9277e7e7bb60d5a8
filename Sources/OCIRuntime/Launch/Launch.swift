import Linux
public import OCI
import SystemPackage

/// Clones the first process of a container. It sets everything up and then waits to be released. Hooks that belong
/// before that have run when this returns.
/// Only for programs with one thread. When this throws, nothing is left but the cgroup, which is the caller's. `network` is what
/// `RuntimeSpec.beginNetworkNamespace` answered.
public func launchContainer(_ spec: RuntimeSpec, _ options: LaunchOptions, network: NetworkNamespaceAhead? = nil) throws -> Launched {
    let plan = try ContainerPlan(spec, options)
    let rdt = try spec.linux.intelRdt.map { try ResourceDirectory($0, id: options.id) }
    var request = plan.cloneRequest
    request.network = network
    var launched = try cloneChild(request, options) { channel in
        try ContainerInit(plan: plan).run(channel)
    }
    launched.listener = plan.listener
    do {
        if plan.namespaces.new.contains(.user) {
            try IDMappings.write(spec.linux, pid: launched.pid, isPrivileged: plan.isPrivileged)
            if !plan.namespaces.needsJoiningFirst { try options.cgroup?.enter(launched.pid) }
        }
        if !plan.namespaces.needsJoiningFirst { try adjustOOMScore(spec.process, of: "\(launched.pid)") }
        if !spec.linux.netDevices.isEmpty {
            try NetDeviceMove(devices: spec.linux.netDevices).run(
                into: plan.namespaces.joined(.network) ?? HeldFD(try NetworkNamespace.open(pid: launched.pid)))
        }
        try rdt?.enter(launched.pid)
        if plan.waitsForParent { try launched.begin() }
        if plan.hasRuntimeHooks { try runHooks(plan, &launched) }
    } catch {
        launched.abandon()
        rdt?.removeOwn()
        throw error
    }
    return launched
}

/// Between the making of the mounts and the change of the root, while the process waits.
private func runHooks(_ plan: ContainerPlan, _ launched: inout Launched) throws {
    try launched.waitUntilMounted()
    let state = plan.state.json(.creating, pid: launched.pid)
    try HookRun(.prestart, of: plan.spec).runAll(state)
    try HookRun(.createRuntime, of: plan.spec).runAll(state)
    try launched.begin()
}

extension RuntimeSpec {
    /// Begins to make the network namespace, if there is to be a new one, beside what comes before the clone. Not with other
    /// users, who have to own it.
    func beginNetworkNamespace() -> NetworkNamespaceAhead? {
        let isNew = linux.namespaces.contains { $0.type == .network && $0.path == nil }
        guard isNew, !linux.namespaces.contains(where: { $0.type == .user }) else { return nil }
        return NetworkNamespaceAhead()
    }
}

extension ContainerPlan {
    fileprivate var cloneRequest: CloneRequest {
        var new = namespaces.new.subtracting(.cgroup)
        if spec.linux.timeOffsets != nil { new.subtract(.time) }
        guard namespaces.needsJoiningFirst else {
            return CloneRequest(namespaces: new, pidNamespace: namespaces.joined(.pid))
        }
        return CloneRequest(
            namespaces: new, joining: { [namespaces] in try namespaces.joinAll() },
            beforeJoining: { [process = spec.process] in try adjustOOMScore(process, of: "self") })
    }
}

/// Clones a process into a running container, whose first process is `pid`, with the container's seccomp rules and what
/// else holds for all of its processes. It waits to be released. `options.cgroup` should be the container's.
public func launchExec(
    _ process: RuntimeSpec.Process, in pid: Int32, startTime: UInt64? = nil, of spec: RuntimeSpec, _ options: LaunchOptions
) throws -> Launched {
    let container = HeldFD(try openProcess(pid))
    let differing = try NamespaceComparison.differing(from: pid)
    // The number may have become another process's before it was opened: then nothing of a container is there.
    guard differing.contains(.mount), try startTime.map({ try processStartTime(pid) == $0 }) ?? true else {
        throw LaunchError(message: "container is not running")
    }
    let hasOwnUsers = differing.contains(.user)
    let process = process.inheriting(spec.process)
    let plan = try ProcessPlan(process, seccomp: spec.linux.seccomp, knownFilter: options.filter, hasOwnUsers: hasOwnUsers)
    let tuning = try KernelTuning(spec.linux)
    let allowsGroups = try !hasOwnUsers || IDMappings.allowGroups("\(pid)")
    let joinsFirst = hasOwnUsers
    var request = CloneRequest(namespaces: [])
    if joinsFirst {
        request.joining = { try differing.join(container.fd) }
        request.beforeJoining = { try adjustOOMScore(process, of: "self") }
    } else if differing.contains(.pid) {
        request.pidNamespace = container
    }
    let before = try plan.affinity.enterInitial()
    var launched = try cloneChild(request, options) { channel in
        try Identity.hideFromOthers()
        try Identity.startSession()
        if !joinsFirst {
            try options.cgroup?.enterFromChild()
            let joined = differing.subtracting(.pid)
            if !joined.isEmpty { try joined.join(container.fd) }
        }
        if hasOwnUsers { try Identity.setUser(0, group: 0, additionalGroups: allowsGroups ? [] : nil) }
        try plan.affinity.enterFinal()
        try tuning.apply()
        let root = try OwnedFD.open("/", [.path, .directory])
        let last = ProcessInit(plan: plan, options: options, allowsGroups: allowsGroups)
        try last.prepareStreams(root: root, withConsole: false, channel: channel)
        try last.finish(root: root, channel: channel)
    }
    if plan.filter?.needsListener == true, let seccomp = spec.linux.seccomp {
        launched.listener = SeccompListener(
            path: seccomp.listenerPath ?? "", metadata: seccomp.listenerMetadata ?? "",
            state: ReportedState(spec, options), status: .running, containerPID: pid)
    }
    do {
        if let before { try ProcessorAffinity.set(before) }
        if let rdt = spec.linux.intelRdt { try ResourceDirectory(rdt, id: options.id).join(launched.pid) }
        if !joinsFirst { try adjustOOMScore(process, of: "\(launched.pid)") }
    } catch {
        launched.abandon()
        throw error
    }
    return launched
}

extension RuntimeSpec.Process {
    /// What a process that joins a container has from the container's own where it says nothing itself.
    fileprivate func inheriting(_ first: RuntimeSpec.Process) -> RuntimeSpec.Process {
        var process = self
        process.capabilities = capabilities ?? first.capabilities
        process.execCPUAffinity = execCPUAffinity ?? first.execCPUAffinity
        if (apparmorProfile ?? "").isEmpty { process.apparmorProfile = first.apparmorProfile }
        if (selinuxLabel ?? "").isEmpty { process.selinuxLabel = first.selinuxLabel }
        return process
    }
}

/// `name` is a process's in procfs.
private func adjustOOMScore(_ process: RuntimeSpec.Process, of name: String) throws {
    guard let score = process.oomScoreAdj else { return }
    guard (-1000...1000).contains(score) else { throw LaunchError(message: "oomScoreAdj \(score) is not in -1000...1000") }
    let path = FilePath("/proc/\(name)/oom_score_adj")
    // Less than one has needs a capability that even root may lack, so what holds already is not written again.
    let present = try OwnedFD.open(path, .readOnly).readAll(limit: 64)
    if present.prefix(while: { $0 != 0x0A }).elementsEqual("\(score)".utf8) { return }
    do throws(SystemError) {
        try OwnedFD.open(path, .writeOnly).writeAll(Array("\(score)".utf8))
    } catch {
        throw LaunchError(message: "oomScoreAdj \(score): \(error.errno.goText)")
    }
}
